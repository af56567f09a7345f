"""Files that are reached through symbolic links: under the names that the user's code knows them by."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from pathlib import Path

__all__ = ["files_below", "module_place", "named_path"]

IGNORED = frozenset({"__pycache__"})
_STRAY = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that a machine's file manager puts into any folder."""


def named_path(path: Path) -> Path:
    """Make a path absolute under the name that it has; a link is not followed unless a `..` after it asks for that."""
    plain = Path(os.path.abspath(path))
    return plain if plain.exists() and plain.samefile(path) else path.resolve()


def module_place(module: str, file: Path) -> Path:
    """Give where a module lies in the folder that it is imported from; links to that folder alone are followed."""
    file = Path(os.path.abspath(file))
    depth = len(module.split(".")) - (0 if file.name == "__init__.py" else 1)
    if depth >= len(file.parents):
        return file.resolve()  # not imported under that name
    root = file.parents[depth]
    return root.resolve() / file.relative_to(root)


def files_below(path: Path) -> Iterator[Path]:
    """Give a file, or all files of a folder in order, those of folders that it links to among them."""
    if path.is_file():
        yield path
    else:
        yield from _walk(path, frozenset())


def _walk(folder: Path, above: Set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        return  # a link to a folder that it lies in
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            if entry.name not in IGNORED:
                yield from _walk(entry, above | {real})
        elif entry.is_file() and entry.name not in _STRAY:
            yield entry
