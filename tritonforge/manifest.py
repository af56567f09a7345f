"""`tritonforge.json`, as whoever reads a built repository reads it: checked, as it may come from elsewhere."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.repository_files import read_bytes

__all__ = ["MANIFEST", "InvalidManifest", "find_edits", "read_manifest", "unreadable"]

MANIFEST = "tritonforge.json"
"""The file that tritonforge writes beside the models that it builds."""

_CONFLICT = b"\n<<<<<<< "
"""How what git writes into a file begins where both sides have changed it."""

_SCHEMA = 1
"""The schema that this version reads."""

_KINDS: Mapping[str, type] = {"version": int, "kind": str, "signature": dict}
"""What is read of each model."""

_OPTIONAL: Mapping[str, type] = {
    "environment": dict,
    "files": dict,
    "golden": dict,
    "requirements": list,
    "sources": dict,
}
_TENSOR: Mapping[str, type] = {"name": str, "datatype": str, "dims": list}
_GOLDEN: Mapping[str, type] = {"file": str, "sha256": str}
_HASHED = 1 << 20
"""Bytes: of a file that has more it is not looked at what they are."""
_NAMED = 3
"""How many of a model's files are named."""
_LONGEST = 255
"""Bytes of a file's name, on every file system that a repository is built on."""


class InvalidManifest(DiagnosticError, ValueError):
    """A `tritonforge.json` that is not what a build writes (TF512)."""


def read_manifest(repository: Path) -> dict[str, Any]:
    """Read and check a repository's manifest; empty where it has none.

    Raises:
        InvalidManifest: it is not what a build writes, or names a path that leaves the repository.
    """
    file = repository / MANIFEST
    content: Any = None
    try:
        data = read_bytes(file)
        content = json.loads(data)
        fault = _fault_of(data)
    except FileNotFoundError:
        return {}
    except OSError as error:
        fault = f"can't be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        fault = f"is not JSON: {error}"
    if fault:
        raise unreadable(repository, fault)
    found: dict[str, Any] = content
    return found


def find_edits(repository: Path) -> list[Diagnostic]:
    """Warn of each model that is there and whose files aren't those that were built (TF516), by the manifest's hashes.

    Files of more than 1 MiB count by being there, and files that the manifest doesn't know not at all, but versions of
    the model do. A model that can't be looked into is told as that.

    Raises:
        InvalidManifest: as `read_manifest` does.
    """
    hint = "Triton serves what is there; a build puts back what the definitions give: make the change in those"
    found = []
    for name, entry in sorted(read_manifest(repository).get("models", {}).items()):
        folder = repository / name
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
            message = f"can't be read: {os.strerror(errno.EACCES)}"
            mend = "let the user who serves it read it, and what is in it: chmod -R u+rX"
            found.append(Diagnostic("TF516", Where(str(folder), 0, name), message, mend, "warning"))
            continue
        files = entry.get("files", {}) if folder.is_dir() else {}
        edited = [path for path, digest in sorted(files.items()) if not _unchanged(folder / path, digest)]
        if edited:
            more = f" and {len(edited) - _NAMED} more" if len(edited) > _NAMED else ""
            message = f"differs from what was built: {', '.join(edited[:_NAMED])}{more}"
            found.append(Diagnostic("TF516", Where(str(folder), 0, name), message, hint, "warning"))
        if files and (strange := _versions(os.listdir(folder)) - (built := _versions(files))):
            listed = ", ".join(map(str, sorted(strange)))
            served = max(strange) > max(built, default=0)
            instead = f"; by default Triton serves the newest, {max(strange)}" if served else ""
            message = f"has version{'s'[: len(strange) > 1]} {listed}, which no build has written{instead}"
            mend = "remove what was left there, as by a checkout of another state; or build into an empty folder"
            found.append(Diagnostic("TF516", Where(str(folder), 0, name), message, mend, "warning"))
    return found


def _versions(paths: Iterable[str]) -> set[int]:
    """Give the versions of a model that paths in its folder name."""
    tops = {path.partition("/")[0] for path in paths}
    return {int(top) for top in tops if top.isascii() and top.isdigit() and top[0] != "0"}


def _unchanged(file: Path, digest: object) -> bool:
    """Tell whether a file has a hash; of a large one whether it is there."""
    try:
        return hashlib.sha256(read_bytes(file, at_most=_HASHED)).hexdigest() == digest
    except OSError as error:
        return error.errno == errno.EFBIG


def unreadable(repository: Path, fault: str) -> InvalidManifest:
    """Make the error of a manifest that is none, with the mend that a build takes, too."""
    file = repository / MANIFEST
    again = (
        f"restore it from your version control, or remove {repository.name} and build it again (versions begin anew)"
    )
    hint = f"{again}; if no build of tritonforge's wrote it, move {MANIFEST} away"
    with suppress(OSError):
        if _CONFLICT in b"\n" + read_bytes(file):
            fault = "has the marks of a merge conflict in it"
            own = f"rm -r {repository.name}; git checkout HEAD -- {repository.name}"
            hint = f"take the folder whole of one side ({own}), or remove it, and build again"
    return InvalidManifest([Diagnostic("TF512", Where(file=str(file)), fault, hint)])


@lru_cache(maxsize=1)
def _fault_of(data: bytes) -> str:
    """Say what keeps a file's content from being a manifest; the same one is read several times by a start."""
    return _fault(json.loads(data))


def _fault(content: Any) -> str:
    """Say what keeps JSON from being a manifest; empty if nothing does."""
    if not isinstance(content, dict) or "schema" not in content:
        return "is not a manifest that a build has written: it has no schema"
    if content["schema"] != _SCHEMA:
        return f"is of schema {content['schema']!r}, and this tritonforge reads schema {_SCHEMA}"
    models = content.get("models")
    if not isinstance(models, dict):
        return "is not a manifest that a build has written: it has no models"
    paths = [path for name, entry in models.items() for path in _paths(name, entry)]
    if unfit := next((path for path in paths if not _fit(path)), ""):
        return f"names what can't be a path: {unfit[:40]!r}"
    if outside := next((path for path in paths if not _inside(path)), ""):
        return f"names a path that leaves the repository: {outside}"
    broken = next((name for name, entry in models.items() if not _whole(entry)), "")
    return f"is not a manifest that a build has written: its model {broken} is incomplete" if broken else ""


def _paths(name: str, entry: Any) -> list[str]:
    """List what a manifest's entry names below the repository: the model's folder, its files, its golden samples."""
    if not isinstance(entry, dict):
        return [name]
    golden = entry.get("golden")
    named = [golden.get("file", "")] if isinstance(golden, dict) else []
    tables = (entry.get("sources"), entry.get("files"))
    return [name, *map(str, named), *(str(path) for table in tables if isinstance(table, dict) for path in table)]


def _fit(path: str) -> bool:
    """Tell whether a path can be one of a file."""
    try:
        return "\0" not in path and all(len(os.fsencode(part)) <= _LONGEST for part in path.split("/"))
    except UnicodeEncodeError:
        return False


def _inside(path: str) -> bool:
    """Tell whether a path that a manifest names stays below the folder that it is relative to."""
    return not path.startswith("/") and ".." not in path.split("/")


def _whole(entry: Any) -> bool:
    """Tell whether a model's entry has what is read of it."""
    if not _has(entry, _KINDS) or not _has(entry, {name: kind for name, kind in _OPTIONAL.items() if name in entry}):
        return False
    signature = entry["signature"]
    tensors = [tensor for side in ("inputs", "outputs") for tensor in _list(signature.get(side, []))]
    golden = entry.get("golden")
    return "batched" in signature and all(map(_tensor, tensors)) and (golden is None or _has(golden, _GOLDEN))


def _tensor(entry: Any) -> bool:
    if not _has(entry, _TENSOR) or not all(isinstance(dim, int | str) for dim in entry["dims"]):
        return False
    reshaped = entry.get("reshaped", [])
    return isinstance(reshaped, list) and all(isinstance(dim, int) for dim in reshaped)


def _has(entry: Any, kinds: Mapping[str, type]) -> bool:
    """Tell whether a table has values of these kinds."""
    return isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in kinds.items())


def _list(value: Any) -> list[Any]:
    """Give a list; of what is none a list of that, which is no tensor."""
    return value if isinstance(value, list) else [value]
