"""The text of config.pbtxt: syntax, unknown fields, and fields that the target is too old for."""

from __future__ import annotations

from collections.abc import Iterator

from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model
from tritonforge.pbtxt.releases import first_releases

__all__ = ["check_releases", "check_text"]

_CODES = {"syntax": "TF600", "unknown": "TF601", "value": "TF602", "twice": "TF603"}


def check_text(model: Model) -> Iterator[tuple[Found, int]]:
    """List what can't be read, each with its line."""
    for problem in model.document.problems:
        yield error(_CODES[problem.kind], problem.field, problem.message, problem.hint), problem.line


def check_releases(model: Model) -> Iterator[Found]:
    """List the fields that the target release can't read."""
    for field, since in first_releases(model.document.message):
        if _number(since) > _number(model.target):
            name = field.rpartition(".")[2]
            message = f"Triton reads {name} since {since}; the target is {model.target}"
            yield error("TF604", field, message, "leave it out, or check for a newer release with --target")


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))
