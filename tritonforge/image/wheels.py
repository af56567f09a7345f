"""Packages for an image: downloaded here, with this machine's own pip settings, and locked with their hashes.

Indexes, credentials and CA bundles are those of the pip that runs here. None of them comes into the image.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tritonforge.image.errors import ImageError

__all__ = ["download", "download_alone", "lock", "pip_wheel"]

_UNREACHED = re.compile(r"Could not fetch URL \S+: (?!404 ).*(?= - skipping)")
"""What pip logs of a page of an index that it can't have; one without the page answers with 404."""
_OBJECT = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>: ")
_USAGE = re.compile(r"\AUsage:.*?\n\n(?=\S)", re.DOTALL)
"""What pip says before its error where an argument is none of its own."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")

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
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        errors = [line for line in answer.stderr.splitlines() if line.startswith("ERROR")]
        said = "\n  ".join(errors) or re.sub(r"\n+", "\n  ", _USAGE.sub("", answer.stderr.strip()))
        unreached = _UNREACHED.search(answer.stdout)
        if unreached:
            said = f"{_OBJECT.sub('', unreached[0])}\n  {said}"
        said = _CREDENTIALS.sub("****@", said)
        raise ImageError(f"pip can't get the image's packages: {said}{_hint(said, reached=unreached is None)}")


def _hint(said: str, *, reached: bool) -> str:
    """Say what to do about an index that isn't reached, or a package that has no wheel, as its sources aren't taken."""
    if not reached and "CERTIFICATE_VERIFY_FAILED" in said:
        mend = "give pip the authority that the index's certificate is of: --pip-arg=--cert=ca.pem, or by the variable"
        return f"\n  hint: {mend} REQUESTS_CA_BUNDLE, which goes before that"
    if not reached:
        mend = "look at the network, its proxy, and the index that pip has (`pip config list`), or name another with"
        return f"\n  hint: {mend} --pip-arg=--index-url=…"
    if "No matching distribution found" not in said:
        return ""
    build = "only wheels are taken: for a package that has none, build one (`pip wheel`) and add its folder with"
    return f"\n  hint: {build} --pip-arg=--find-links=…"
