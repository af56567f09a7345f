"""Say whether the Python that runs this can carry tritonforge and its embedded server.

Prints its own path and exits 0 if so; prints what is missing to stderr, one line, and exits 1 if not. It runs before
anything is installed, under whatever Python 3 a machine has: standard library only, and nothing newer than Python 3.6.
"""

import ctypes
import importlib.util
import os
import platform
import subprocess
import sys
import sysconfig

OLDEST, NEWEST = (3, 10), (3, 12)
GLIBC = (2, 35)  # what the embedded server's wheel is built for


def main():
    problem = next(problems(), None)
    if problem:
        sys.exit(f"{sys.executable}: {problem}")
    print(sys.executable)


def problems():
    """Name what is missing and how to get it, the most basic first."""
    version = "{}.{}".format(*sys.version_info[:2])
    if sys.platform != "linux" or platform.machine() != "x86_64":
        yield "the embedded Triton server runs on Linux x86-64 only"
    if sys.implementation.name != "cpython" or not OLDEST <= sys.version_info[:2] <= NEWEST:
        yield f"it is {sys.implementation.name} {version}; CPython 3.10, 3.11 or 3.12 is needed"
    libc, found = platform.libc_ver()
    if libc != "glibc" or tuple(int(part) for part in found.split(".")[:2]) < GLIBC:
        yield f"the embedded Triton server needs glibc 2.35 or newer; this is {libc or 'another C library'} {found}"
    if not importlib.util.find_spec("venv"):
        yield f"it has no venv module (Debian, Ubuntu: apt install python{version}-venv)"
    if not importlib.util.find_spec("ensurepip") and not importlib.util.find_spec("pip"):
        yield f"it has neither ensurepip nor pip (Debian, Ubuntu: apt install python{version}-venv)"
    if not any(is_own_library(path) for path in libraries()):
        yield (
            f"it has no shared libpython of its own version {platform.python_version()} (Debian, Ubuntu: apt install "
            f"libpython{version}; pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version})"
        )


def libraries():
    """List the places where this Python's shared library may be: its own folders first, then what the loader knows."""
    name = "libpython{}.{}.so.1.0".format(*sys.version_info[:2])
    folders = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")]
    paths = [os.path.join(folder, name) for folder in folders if folder]
    try:
        known = subprocess.check_output(["/sbin/ldconfig", "-p"], stderr=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        known = ""
    return paths + [line.split("=>")[1].strip() for line in known.splitlines() if line.split(" ")[0].strip() == name]


def is_own_library(path):
    """Say whether the file is a libpython of exactly this Python's version; another's breaks the standard library."""
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return False
    library.Py_GetVersion.restype = ctypes.c_char_p
    return library.Py_GetVersion().decode().split(" ")[0] == platform.python_version()


if __name__ == "__main__":
    main()
