"""What this machine and this Python environment are, as far as a server depends on it."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tritonforge.server.installed.installation import Installation, find_installation
from tritonforge.server.installed.libpython import Libpython, find_libpythons

__all__ = ["SHARED_MEMORY", "Machine", "installed_version", "probe"]

SHARED_MEMORY = Path("/dev/shm")
"""Where the Python backend keeps the tensors that it hands to models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts, unjudged. Versions are as their owners write them, empty where there is none.

    `shared_memory_bytes` is what is free in /dev/shm; None where it can't be written to.
    """

    system: str
    processor: str
    glibc: str
    python: str
    executable: str
    numpy: str
    installation: Installation | None
    libpythons: tuple[Libpython, ...]
    shared_memory_bytes: int | None


def probe() -> Machine:
    """Look at this machine and the running Python's environment."""
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        glibc=_glibc(),
        python=platform.python_version(),
        executable=sys.executable or "",
        numpy=installed_version("numpy"),
        installation=find_installation(),
        libpythons=find_libpythons() if platform.system() == "Linux" else (),
        shared_memory_bytes=_free(SHARED_MEMORY),
    )


def _glibc() -> str:
    """Ask the C library for its version; empty if it isn't glibc."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        if name == "glibc":
            return version
    return ""


def installed_version(distribution: str) -> str:
    """Look up the installed version of a distribution, without importing it."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return ""


def _free(folder: Path) -> int | None:
    """Measure the free bytes of a folder that can be written to."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    usage = os.statvfs(folder)
    return usage.f_bavail * usage.f_frsize
