"""Packages for an image: downloaded here, with this machine's own pip settings, and locked with their hashes.

Indexes, credentials and CA bundles are those of the pip that runs here. None of them comes into the image.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tritonforge.image.errors import ImageError
from tritonforge.image.pip_errors import explain_pip

__all__ = ["download", "download_alone", "lock", "pip_wheel"]

_GLIBC = 36
"""Debian 12's glibc is 2.36: wheels for it, and older ones, are looked for where this machine is another."""


def download(requirements: Sequence[str], folder: Path, *, python: str, pip_args: Sequence[str] = ()) -> None:
    """Resolve requirements for a CPython (`3.11`) on Linux x86-64, and put their wheels into a folder.

    Raises:
        ImageError: pip fails; with its own words.
    """
    _pip([*_platform(python), *pip_args, *requirements], folder)


def download_alone(requirement: str, folder: Path, *, python: str, pip_args: Sequence[str] = ()) -> None:
    """Put one package's wheel into a folder, without what it depends on.

    Raises:
        ImageError: pip fails; with its own words.
    """
    _pip([*_platform(python), *pip_args, "--no-deps", requirement], folder)


def lock(folder: Path) -> str:
    """Write the requirements file that pins every wheel of a folder by its hash."""
    lines = []
    for wheel in sorted(folder.glob("*.whl"), key=lambda path: path.name.lower()):
        name, version, *_ = wheel.name.split("-")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{digest}\n")
    return "".join(lines)


def pip_wheel(folder: Path, *, pip_args: Sequence[str] = ()) -> str:
    """Put pip's own wheel into a folder, to install the others with where an image has no pip; give its file name.

    Raises:
        ImageError: pip fails; with its own words.
    """
    _pip([*pip_args, "--no-deps", "pip"], folder)
    return next(folder.glob("pip-*.whl")).name


def _platform(python: str) -> list[str]:
    """Give the flags that choose wheels: no sources, which would be built for this machine."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    flags = ["--only-binary", ":all:"]
    if python == here and platform.system() == "Linux" and platform.machine() == "x86_64":
        return flags
    flags += ["--python-version", python, "--implementation", "cp"]
    for minor in range(_GLIBC, 4, -1):
        flags += ["--platform", f"manylinux_2_{minor}_x86_64"]
    return [*flags, "--platform", "manylinux2014_x86_64", "--platform", "linux_x86_64"]


def _pip(arguments: Sequence[str], folder: Path) -> None:
    """Download into a folder; beside it is what pip needs meanwhile, which a killed one would leave elsewhere."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder.parent) as scratch:
        command = [*pip, *arguments, "--dest", str(folder), "-vv"]  # else it says nothing of a page that it skips
        environment = {**os.environ, "TMPDIR": scratch}
        options: dict[str, Any] = {"env": environment, "capture_output": True, "text": True}
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **options)  # nobody sees it ask
    if answer.returncode:
        raise ImageError(f"pip can't get the image's packages: {explain_pip(answer.stdout, answer.stderr, os.environ)}")
    if not any(folder.glob("*.whl")):
        mend = "leave out the --pip-arg that has it do something else (--help), or take sources (--no-binary)"
        raise ImageError(f"pip can't get the image's packages: it ended well, and downloaded no wheel\n  hint: {mend}")
