"""The manifest of a repository, as far as a server reads it."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.repository import MANIFEST

__all__ = ["built_models", "check_environments", "check_manifest", "read_requirements", "read_target"]

_SCHEMA = 1
"""The schema that this version reads."""

_READ = ("version", "kind", "signature")
"""What is read of each model."""


def check_manifest(repository: Path) -> list[Diagnostic]:
    """Check that the manifest, if there is one, is what a build writes; a repository without one is fine."""
    file = repository / MANIFEST
    if not file.exists():
        return []
    fault = _fault(file)
    if not fault:
        return []
    hint = f"build the repository again, or, if no build of tritonforge's wrote it, move {MANIFEST} away"
    return [Diagnostic("TF512", Where(file=str(file)), fault, hint)]


def check_environments(repository: Path, python: str) -> list[Diagnostic]:
    """Check that the models' own environments are made for a server's CPython (`3.11`); the manifest is a good one."""
    models = _content(repository).get("models", {})
    made = {name: str(entry.get("environment", {}).get("python", python)) for name, entry in models.items()}
    hint = f"build the repository again, with CPython {python}"
    return [
        Diagnostic(
            "TF513",
            Where(file=str(repository / name), subject=name),
            f"its environment is made for CPython {version}, and the server runs {python}",
            hint,
        )
        for name, version in sorted(made.items())
        if version != python
    ]


def built_models(repository: Path) -> set[str]:
    """Name the models that the manifest has, which is a good one; none of a repository without one."""
    return set(_content(repository).get("models", {}))


def read_target(repository: Path) -> str:
    """Give the Triton release that a repository was built for; the embedded server's where it doesn't say."""
    from tritonforge.build.project import EMBEDDED_RELEASE

    return str(_content(repository).get("target") or EMBEDDED_RELEASE)


def read_requirements(repository: Path) -> tuple[str, ...]:
    """Give what the models need in the server's own Python, as pip writes it: `requirements=` of their definitions."""
    models = _content(repository).get("models", {}).values()
    return tuple(sorted({str(one) for model in models for one in model.get("requirements", ())}))


def _content(repository: Path) -> dict[str, Any]:
    """Read a manifest that has been checked; empty where there is none."""
    file = repository / MANIFEST
    content: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return content


def _fault(file: Path) -> str:
    """Say what keeps a file from being a manifest; empty if nothing does."""
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    if not isinstance(content, dict) or "schema" not in content:
        return "is not a manifest that a build has written: it has no schema"
    if content["schema"] != _SCHEMA:
        return f"is of schema {content['schema']!r}, and this tritonforge reads schema {_SCHEMA}"
    models = content.get("models")
    if not isinstance(models, dict):
        return "is not a manifest that a build has written: it has no models"
    return _models_fault(models)


def _models_fault(models: dict[str, Any]) -> str:
    """Say what is wrong with a manifest's models; empty if nothing is."""
    outside = [path for name, entry in models.items() for path in _paths(name, entry) if not _inside(path)]
    if outside:
        return f"names a path that leaves the repository: {outside[0]}"
    broken = [name for name, entry in models.items() if not _whole(entry)]
    return f"is not a manifest that a build has written: its model {broken[0]} is incomplete" if broken else ""


def _paths(name: str, entry: Any) -> list[str]:
    """List what a manifest's entry names below the repository: the model's folder, its files, its golden samples."""
    if not isinstance(entry, dict):
        return [name]
    golden = entry.get("golden")
    named = [golden.get("file", "")] if isinstance(golden, dict) else []
    tables = (entry.get("sources"), entry.get("files"))
    return [name, *map(str, named), *(str(path) for table in tables if isinstance(table, dict) for path in table)]


def _inside(path: str) -> bool:
    """Tell whether a path that a manifest names stays below the folder that it is relative to."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _whole(entry: Any) -> bool:
    """Tell whether a model's entry has what is read of it."""
    if not isinstance(entry, dict) or any(key not in entry for key in _READ):
        return False
    signature, sources = entry["signature"], entry.get("sources", {})
    if not isinstance(signature, dict) or not isinstance(sources, dict) or "batched" not in signature:
        return False
    tensors = [tensor for side in ("inputs", "outputs") for tensor in signature.get(side, ())]
    return all(isinstance(tensor, dict) and tensor.keys() >= {"name", "datatype", "dims"} for tensor in tensors)
