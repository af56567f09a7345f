"""The manifest of a repository, as far as a server reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.repository import MANIFEST

__all__ = ["check_manifest"]

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
    broken = [name for name, entry in models.items() if not _whole(entry)]
    return f"is not a manifest that a build has written: its model {broken[0]} is incomplete" if broken else ""


def _whole(entry: Any) -> bool:
    """Tell whether a model's entry has what is read of it."""
    if not isinstance(entry, dict) or any(key not in entry for key in _READ):
        return False
    signature, sources = entry["signature"], entry.get("sources", {})
    if not isinstance(signature, dict) or not isinstance(sources, dict) or "batched" not in signature:
        return False
    tensors = [tensor for side in ("inputs", "outputs") for tensor in signature.get(side, ())]
    return all(isinstance(tensor, dict) and tensor.keys() >= {"name", "datatype", "dims"} for tensor in tensors)
