"""The folders of a repository as they lie on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tritonforge.repository_files import dead_links

__all__ = ["CONFIG", "ModelFolder", "is_version", "read_folders"]

CONFIG = "config.pbtxt"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """One folder that Triton takes for a model: its files, its subfolders, and which of those are versions.

    `dead` are the links in it that lead nowhere; they are neither.
    """

    path: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]
    dead: tuple[str, ...] = ()

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
    """List the folders of a repository by name: every one is a model to Triton, a hidden one, too.

    Raises:
        OSError: the repository can't be read.
    """
    dead = dead_links(repository)
    return [_read(Path(entry.path)) for entry in _entries(repository) if entry.name not in dead and entry.is_dir()]


def _read(path: Path) -> ModelFolder:
    entries = _entries(path)
    dead = dead_links(path)
    folders = tuple(entry.name for entry in entries if entry.name not in dead and entry.is_dir())
    files = tuple(entry.name for entry in entries if entry.name not in dead and entry.name not in folders)
    return ModelFolder(path, files, folders, dead)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
