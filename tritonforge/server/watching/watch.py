"""Seeing that files of definitions were saved: by polling, which works on every file system, and by content.

What counts is what a build reads: Python files beside the definitions, weights, requirements, and the files that the
last manifest names. A file that is only touched, or that an editor or the interpreter leaves beside them, is no change.
"""

from __future__ import annotations

import ast
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tritonforge.build.discover import find_sources
from tritonforge.build.sources import project_root
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.manifest import MANIFEST, InvalidManifest, read_manifest

__all__ = ["SourceWatch"]

_SUFFIXES = (".py", ".onnx", ".data", ".pt", ".pth", ".ts", ".safetensors", ".npz", ".npy", ".pkl", ".joblib")
_REQUIREMENTS = (".txt", ".in")
"""What `environment=` names, and such a file includes."""
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
_LEFTOVERS = ("~", "#", ".swp", ".swx", ".tmp", ".bak", ".orig", ".pyc", "___jb_tmp___", "___jb_old___")
_SETTLING_S = 0.03
"""An editor writes a file in steps: away with the old one, the new one in its place. It is saved when these rest."""
_SETTLED_WITHIN_S = 2.0
_HASHED = 64 << 20
"""Bytes up to which a file is compared by content; a larger one by its time and size."""

_Stamp = tuple[int, int, int]


class SourceWatch:
    """The files that a build of some definitions reads, as they were when last looked at."""

    def __init__(self, paths: Sequence[Path], repository: Path) -> None:
        self._paths = [path.resolve() for path in paths]
        self._repository = repository
        self._everything = False
        self._roots: tuple[Path, ...] = ()
        self._defining: tuple[Path, ...] = ()
        self._named: tuple[Path, ...] = ()
        self._stamps: dict[Path, _Stamp] = {}
        self._digests: dict[Path, bytes] = {}
        self.follow()

    def follow(self, *, everything: bool = False) -> None:
        """Watch what the last build has read; `everything` beside the definitions where it failed: a file may lack."""
        with suppress(DiagnosticError, OSError):  # as of a folder that goes away meanwhile
            sources = find_sources(self._paths)
            kept = self._roots if everything else ()
            self._roots = tuple(dict.fromkeys((*kept, *(source.root for source in sources))))
            if not everything:
                self._defining = tuple(source.file for source in sources)
            self._named = tuple(_named(self._repository, project_root(sources[0].file)))
        self._everything = everything
        scanned = self._scan()
        for path, stamp in scanned.items():
            if path not in self._stamps:
                self._stamps[path], self._digests[path] = stamp, _digest(path, stamp)
        for path in [path for path in self._stamps if path not in scanned and path.exists()]:  # no longer watched
            del self._stamps[path], self._digests[path]

    def check(self) -> None:
        """Refuse files that had definitions at the last build, are still there, and are empty or no Python now.

        A build passes over a file of a folder that names nothing of tritonforge: their models would be taken away.

        Raises:
            DiagnosticError: there are such files.
        """
        if found := [fault for file in self._defining if file.is_file() and (fault := _fault(file)) is not None]:
            raise DiagnosticError(found)

    def changed(self) -> list[Path]:
        """Name the files whose content is another than at the last call: saved, new or gone. Waits until they rest."""
        stamps = self._scan()
        if stamps == self._stamps:
            return []
        deadline = time.monotonic() + _SETTLED_WITHIN_S
        while time.monotonic() < deadline:
            time.sleep(_SETTLING_S)
            before, stamps = stamps, self._scan()
            if stamps == before:
                break
        differing = [path for path, stamp in stamps.items() if self._stamps.get(path) != stamp]
        gone = [path for path in self._stamps if path not in stamps]
        digests = {path: _digest(path, stamps[path]) for path in differing}
        found = [path for path, digest in digests.items() if self._digests.get(path) != digest]
        self._digests.update(digests)
        for path in gone:
            del self._digests[path]
        self._stamps = stamps
        return sorted([*found, *gone])

    def _scan(self) -> dict[Path, _Stamp]:
        found: dict[Path, _Stamp] = {}
        for root in self._roots:
            for entry in _files(root):
                if self._everything or entry.name.endswith(_SUFFIXES + _REQUIREMENTS):
                    _note(Path(entry.path), found)
        for path in (*self._named, *self._paths):
            if path not in found and not path.is_dir():
                _note(path, found)
        return found


def _fault(file: Path) -> Diagnostic | None:
    """Say what keeps a file from having any definitions."""
    content = file.read_bytes()
    if not content.strip():
        hint = "save it with its definitions, or delete it, if its models are to go"
        return Diagnostic("TF101", Where(str(file)), "it had definitions before, and is empty now", hint)
    try:
        ast.parse(content)
    except (SyntaxError, ValueError) as error:
        where = Where(str(file), getattr(error, "lineno", 0) or 0)
        reason = f"it can't be imported: {type(error).__name__}: {getattr(error, 'msg', error)}"
        return Diagnostic("TF101", where, reason, "mend the syntax")
    return None


def _note(path: Path, found: dict[Path, _Stamp]) -> None:
    with suppress(OSError):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):  # a pipe would be read for ever
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Give the files below a folder that a person wrote: none of hidden folders, environments, built repositories."""
    try:
        with os.scandir(folder) as scanned:
            entries = list(scanned)
    except OSError:
        return
    if any(entry.name in ("pyvenv.cfg", MANIFEST) for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith((".", "#")) or entry.name in _SKIPPED or entry.name.endswith(_LEFTOVERS):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield entry


def _named(repository: Path, project: Path) -> Iterator[Path]:
    """Give the user's files that a built repository was made of."""
    try:
        models = read_manifest(repository).get("models", {})
    except InvalidManifest:
        return
    for model in models.values():
        for path in model.get("sources", {}).values():
            yield project / path


def _digest(path: Path, stamp: _Stamp) -> bytes:
    if stamp[1] > _HASHED:
        return repr(stamp).encode()
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""
