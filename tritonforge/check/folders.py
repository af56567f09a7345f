"""The folders of a repository as they lie on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONFIG", "ModelFolder", "read_folders"]

CONFIG = "config.pbtxt"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """One folder that Triton takes for a model: its files, its subfolders, and which of those are versions."""

    path: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]

    @property
    def name(self) -> str:
        """The folder's name, which is the model's."""
        return self.path.name

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that there are, in order."""
        return tuple(sorted(int(name) for name in self.folders if is_version(name)))

    def listing(self, version: int) -> tuple[str, ...]:
        """List what is in a version's folder."""
        return tuple(sorted(os.listdir(self.path / str(version))))


def is_version(name: str) -> bool:
    """Tell whether a folder's name is a version: a number without sign or leading zero, of 64 bits."""
    return name.isascii() and name.isdecimal() and (name == "0" or name[0] != "0") and int(name) < 1 << 63


def read_folders(repository: Path) -> list[ModelFolder]:
    """List the folders of a repository by name: every one that isn't hidden is a model to Triton.

    Raises:
        OSError: the repository can't be read.
    """
    return [_read(Path(entry.path)) for entry in sorted(os.scandir(repository), key=_name) if entry.is_dir()]


def _read(path: Path) -> ModelFolder:
    entries = sorted(os.scandir(path), key=_name)
    folders = tuple(entry.name for entry in entries if entry.is_dir())
    return ModelFolder(path, tuple(entry.name for entry in entries if not entry.is_dir()), folders)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
