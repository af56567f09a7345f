"""Python environments of single models: packages in a folder, made once by pip, kept in the user's cache."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Template

from tritonforge.errors import TritonForgeError, Where
from tritonforge.resources import model_templates

__all__ = ["UnbuildableEnvironment", "environment_folder", "python_version"]

_INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(?P<file>\S+)", re.MULTILINE)
_PASSED_OVER = "ERROR: Ignored the following "
_VERSIONS = re.compile(r"(\(from versions: )(?:[^,()]+, )+((?:[^,()]+, ){2}[^,()]+\))")
_MOVE = "free some space, or set XDG_CACHE_HOME to a folder that you can write to, where environments are then kept"
_NUMPY = "numpy<2\n"
"""Every stub imports NumPy, and that of 24.10 corrupts the tensors of NumPy 2."""

_PREPARE = "import sys; sys.dont_write_bytecode = True\n"
"""Run by each Python that starts in the environment: bytecode would change the model repository."""


class UnbuildableEnvironment(TritonForgeError):
    """An environment that can't be made: a file that is missing, packages that pip can't find together.

    `hint` says how to mend it.
    """

    def __init__(self, reason: str, *, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def python_version() -> str:
    """Give the version that packages are made for: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def environment_folder(requirements: Path) -> Path:
    """Give the folder of an environment with these packages, and NumPy, for this Python; make it if it isn't there.

    It is found again by a hash of the requirements file, of those that it includes, and of the Python version.

    Raises:
        UnbuildableEnvironment: a file is missing, pip fails, or the cache can't be written to.
    """
    files = list(_included(requirements))
    facts = [python_version(), platform.machine(), _activate(), _PREPARE, _NUMPY, *(text for _, text in files)]
    digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:32]
    folder = _cache() / digest
    try:
        _provide(folder, requirements)
    except OSError as error:
        reason = f"its environment is made in {folder.parent}, which can't be written to: {error.strerror or error}"
        raise UnbuildableEnvironment(reason, hint=_MOVE) from error
    return folder


def _provide(folder: Path, requirements: Path) -> None:
    """Make an environment in one step, if it isn't there."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        made = Path(scratch) / "environment"
        _make(made, requirements)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another build was faster
                raise


def _make(folder: Path, requirements: Path) -> None:
    """Install the packages, and write what Triton starts them with."""
    packages = folder / "site-packages"
    packages.mkdir(parents=True)
    constraint = folder / "constraint.txt"
    constraint.write_text(_NUMPY)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(packages), "--requirement", str(requirements), "--constraint", str(constraint), "numpy"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        hint = "the packages must go together, and with NumPy 1.26; pip's own settings say where they come from"
        if os.strerror(errno.ENOSPC) in answer.stderr:
            hint = f"{_MOVE}; pip unpacks packages in TMPDIR"
        raise UnbuildableEnvironment(f"pip can't install {requirements.name}: {_reasons(answer.stderr)}", hint=hint)
    constraint.unlink()
    shutil.rmtree(packages / "bin", ignore_errors=True)  # programs, which name this machine's Python
    (packages / "tritonforge_environment.pth").write_text(_PREPARE)
    (folder / "bin").mkdir()
    (folder / "bin" / "activate").write_text(_activate())


def _reasons(said: str) -> str:
    """Give pip's errors with the newest of the versions that there are, and without those for another Python."""
    errors = [line for line in said.splitlines() if line.startswith("ERROR") and not line.startswith(_PASSED_OVER)]
    return "\n  ".join(_VERSIONS.sub(r"\1…, \2", line) for line in errors) or said.strip()


def _activate() -> str:
    template = (model_templates() / "activate.sh.j2").read_text(encoding="utf-8")
    text: str = Template(template, keep_trailing_newline=True).render(python=python_version())
    return text


def _included(requirements: Path, within: tuple[Path, ...] = ()) -> Iterator[tuple[Path, str]]:
    """Read a requirements file and those that it includes; `within` are those that include it.

    Raises:
        UnbuildableEnvironment: one of them can't be read, or includes itself.
    """
    try:
        text = requirements.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "-r and -c name files relative to the file that they are in"
        raise UnbuildableEnvironment(f"{requirements} can't be read: {error}", hint=hint) from error
    yield requirements, text
    here = (*within, requirements.resolve())
    for found in _INCLUDED.finditer(text):
        file = requirements.parent / found["file"]
        if file.resolve() in here:
            line = Where(str(requirements), text.count("\n", 0, found.start("file")) + 1)
            reason = f"{line} includes {found['file']}, and so itself"
            raise UnbuildableEnvironment(reason, hint="take that line out")
        yield from _included(file, here)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tritonforge" / "environments"
