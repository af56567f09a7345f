"""Which backends the configurations of a repository name, and which of those the embedded server lacks."""

from __future__ import annotations

from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.diagnosis.hints import hint_for
from tritonforge.server.installed.backends import PYTHON_BACKENDS
from tritonforge.server.repository.folder import CONFIG, config_fields, model_folders
from tritonforge.server.settings.server import ServerSettings

__all__ = ["check_backends"]

_PLATFORMS = {"tensorflow_graphdef": "tensorflow", "tensorflow_savedmodel": "tensorflow", "tensorrt_plan": "tensorrt"}
"""The platforms of Triton's that name a backend which the embedded server lacks."""


def check_backends(repository: Path, settings: ServerSettings) -> list[Diagnostic]:
    """Check that the embedded server has the backends of the models that it loads at its start; another's aren't known.

    What only the names of files tell is left to the server, as is a model that brings a backend or names a `runtime`.
    """
    if settings.tritonserver:
        return []
    return [
        found
        for folder in model_folders(repository)
        if settings.load_models is None or folder.name in settings.load_models
        for found in _check_model(folder)
    ]


def _check_model(folder: Path) -> list[Diagnostic]:
    said = config_fields(folder)
    backend, line = said.get("backend", ("", 0))
    if not backend:
        platform, line = said.get("platform", ("", 0))
        backend = _PLATFORMS.get(platform, "")
    brought = f"libtriton_{backend}.so"
    if backend in ("", *PYTHON_BACKENDS) or "runtime" in said or [*folder.glob(brought), *folder.glob(f"*/{brought}")]:
        return []
    hint = hint_for(f"unable to find backend library for backend '{backend}'")
    where = Where(str(folder / CONFIG), line, folder.name)
    return [Diagnostic("TF524", where, f'the embedded server has no backend "{backend}"', hint)]
