"""UTF-8 for the user's code, as it has outside: the Python inside Triton's stub starts with ASCII.

That Python (Triton 24.10) has the locale C and ignores PYTHONUTF8 and its like. What `open`, `print` and subprocesses
take for text is set here. The encoding of file names can't be changed once Python runs: a name is ASCII, or bytes, or
has its bytes as surrogates, which is what `os.listdir` and `file_name` give.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from io import TextIOWrapper
from types import ModuleType

__all__ = ["file_name", "use_utf8"]

_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8")


def use_utf8() -> None:
    """Let `open`, standard output and subprocesses use UTF-8, and modules be found whose names aren't ASCII."""
    if "utf" not in locale.getpreferredencoding(False).lower():
        for name in _LOCALES:
            try:
                locale.setlocale(locale.LC_CTYPE, name)
                break
            except locale.Error:
                continue
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # by lines: the log is a file, and `logs -f` reads it
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    if sys.getfilesystemencoding() != "utf-8" and not any(isinstance(each, _ByBytes) for each in sys.meta_path):
        sys.meta_path.append(_ByBytes())


def file_name(name: str) -> str:
    """Spell a file's name so that this Python's `open` and `Path` find it; the same name where it uses UTF-8."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))


class _ByBytes(MetaPathFinder):
    """Finds modules whose names aren't ASCII."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = None if fullname.isascii() else PathFinder.find_spec(file_name(fullname), path)
        if found is None or not isinstance(found.loader, SourceFileLoader):
            return None
        file = found.loader.path
        return spec_from_file_location(
            fullname,
            file,
            loader=SourceFileLoader(fullname, file),
            submodule_search_locations=found.submodule_search_locations,
        )
