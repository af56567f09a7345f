"""The shared library of the Python that runs now: the stub for Python models links it."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SONAME", "Libpython", "choose_libpython", "find_libpythons"]

SONAME = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
"""The shared library that the stub for this Python links."""

_ASK_VERSION = """
import ctypes, sys
version = ctypes.CDLL(sys.argv[1]).Py_GetVersion
version.restype = ctypes.c_char_p
print(version().decode().split()[0])
"""


@dataclass(frozen=True, slots=True)
class Libpython:
    """A shared libpython: its file, and the full version it was built as (`3.11.7`)."""

    path: Path
    version: str


def find_libpythons() -> tuple[Libpython, ...]:
    """Find shared libpythons, up to the first of exactly this interpreter's version (which is then the last).

    Looked at in this order: the one this process runs on, LIBDIR, the base installation's lib, LD_LIBRARY_PATH, and
    what the loader's cache holds.
    """
    found: list[Libpython] = []
    seen: set[Path] = set()
    for path, loaded in _candidates():
        real = path.resolve()
        if real in seen or not real.is_file():
            continue
        seen.add(real)
        version = platform.python_version() if loaded else _version(real)
        if version:
            found.append(Libpython(real, version))
            if version == platform.python_version():
                break
    return tuple(found)


def choose_libpython(found: tuple[Libpython, ...]) -> Libpython | None:
    """Pick the libpython of exactly this interpreter's version.

    Another patch release's library beside this one's standard library fails in odd ways:
    `'_thread.RLock' object has no attribute '_recursion_count'` (3.11.2 beside 3.11.7).
    """
    return next((library for library in found if library.version == platform.python_version()), None)


def _candidates() -> Iterator[tuple[Path, bool]]:
    """Yield where a libpython may be, and whether it is the one that this process runs on."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith(f"/{SONAME}"):
                yield Path(line[line.index("/") :]), True
    folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
    folders += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    yield from ((Path(folder) / SONAME, False) for folder in folders if os.path.isabs(folder))
    yield from ((path, False) for path in _loader_cache())


def _loader_cache() -> list[Path]:
    """Ask the system's loader which libpythons of this name it knows."""
    program = shutil.which("ldconfig", path=os.pathsep.join((os.environ.get("PATH", ""), "/sbin", "/usr/sbin")))
    if not program:
        return []
    answer = subprocess.run([program, "-p"], capture_output=True, text=True, timeout=10, check=False)
    pattern = rf"^\s*{re.escape(SONAME)} \([^)]*\) => (/.*)$"
    return [Path(path) for path in re.findall(pattern, answer.stdout, re.MULTILINE)]


def _version(library: Path) -> str:
    """Ask a libpython for its version, in a process of its own; empty if it can't be loaded."""
    command = [sys.executable, "-I", "-S", "-c", _ASK_VERSION, str(library)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""
