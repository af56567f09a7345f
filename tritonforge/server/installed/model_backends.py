"""Which backends the configurations of a repository name, and which of those the embedded server lacks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.diagnosis.hints import hint_for
from tritonforge.server.installed.backends import PYTHON_BACKENDS
from tritonforge.server.repository.folder import CONFIG, config_fields, model_folders
from tritonforge.server.settings.server import ServerSettings

__all__ = ["NamedBackend", "check_backends", "other_backends"]

_PLATFORMS = {"tensorflow_graphdef": "tensorflow", "tensorflow_savedmodel": "tensorflow", "tensorrt_plan": "tensorrt"}
"""The platforms of Triton's that name a backend which the embedded server lacks."""


@dataclass(frozen=True, slots=True)
class NamedBackend:
    """A backend beyond ours that the configuration of a model names, and where."""

    name: str
    where: Where


def check_backends(repository: Path, settings: ServerSettings) -> list[Diagnostic]:
    """Check that the embedded server has the backends of the models that it loads at its start; another's aren't known.

    What only the names of files tell is left to the server, as is a model that brings a backend or names a `runtime`.
    """
    if settings.tritonserver:
        return []
    return [
        Diagnostic(
            "TF524",
            backend.where,
            f'the embedded server has no backend "{backend.name}"',
            hint_for(f"unable to find backend library for backend '{backend.name}'"),
        )
        for backend in other_backends(repository, settings.load_models)
    ]


def other_backends(repository: Path, models: Collection[str] | None = None) -> list[NamedBackend]:
    """Give the backends that neither Triton's wheel nor we bring, of all models or those; and no model itself does."""
    folders = (folder for folder in model_folders(repository) if models is None or folder.name in models)
    return [found for folder in folders if (found := _other_backend(folder))]


def _other_backend(folder: Path) -> NamedBackend | None:
    said = config_fields(folder)
    backend, line = said.get("backend", ("", 0))
    if not backend:
        platform, line = said.get("platform", ("", 0))
        backend = _PLATFORMS.get(platform, "")
    brought = f"libtriton_{backend}.so"
    if backend in ("", *PYTHON_BACKENDS) or "runtime" in said or [*folder.glob(brought), *folder.glob(f"*/{brought}")]:
        return None
    return NamedBackend(backend, Where(str(folder / CONFIG), line, folder.name))
