"""What models ask for that the server has only by a setting: without it Triton loads them, and says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tritonforge.server.repository.folder import config_text, model_folders
from tritonforge.server.settings.server import ServerSettings

__all__ = ["idle_fields"]


def idle_fields(repository: Path, settings: ServerSettings) -> list[str]:
    """Say of each model which fields of its configuration do nothing as the settings are, and what to set."""
    absent = dict(_absent(settings))
    found = []
    for folder in model_folders(repository):
        asked = _asked(config_text(folder), set(absent))
        found += [f"{folder.name}: {field} does nothing: {absent[field]}" for field in absent if field in asked]
    return found


def _absent(settings: ServerSettings) -> Iterator[tuple[str, str]]:
    """Give the fields that do nothing, and why; a flag that is passed on may be what they need."""
    if not settings.cache_size and not any("--cache-" in flag for flag in settings.extra_args):
        yield "response_cache", "the server has no cache; give it one with --set cache_size=64MiB"
    if not settings.rate_limiter and not any("--rate-limit" in flag for flag in settings.extra_args):
        yield "rate_limiter", "the server doesn't limit rates; have it do so with --set rate_limiter=true"


def _asked(text: str, fields: set[str]) -> set[str]:
    """Give those of the fields that a configuration asks for."""
    if not any(field in text for field in fields):
        return set()
    from tritonforge.pbtxt.document import read_document

    config = read_document(text).message
    asked = {"response_cache"} if config.response_cache.enable else set()
    if any(group.HasField("rate_limiter") for group in config.instance_group):
        asked.add("rate_limiter")
    return asked
