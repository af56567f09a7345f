"""A stand-in environment for the stubs: the running Python, with its packages, as the first `python3` on PATH."""

from __future__ import annotations

import json
import os
import platform
import shutil
import site
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["make_stub_python"]

_PRELUDE = Path(__file__).with_name("prelude.py")
_MODULE = "_tritonforge_prelude"


def make_stub_python(folder: Path, environ: Mapping[str, str]) -> Path:
    """Make a virtual environment in a new folder, and give its bin, to lead PATH.

    Python finds its standard library and packages from pyvenv.cfg beside its program's folder, links unresolved. The
    packages are those of the running interpreter, through `prelude`: its site-packages, its user's, and PYTHONPATH.
    """
    base = Path(getattr(sys, "_base_executable", "") or sys.executable)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {platform.python_version()}\n"
    )
    shutil.copyfile(_PRELUDE, packages / f"{_MODULE}.py")
    (packages / f"{_MODULE}.pth").write_text(f"import {_MODULE}\n")
    (packages / "prelude.json").write_text(json.dumps(_launcher(environ)))
    return folder / "bin"


def _launcher(environ: Mapping[str, str]) -> dict[str, object]:
    """Describe the running interpreter as far as `prelude` copies it."""
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    packages = [folder for folder in dict.fromkeys([*user, *site.getsitepackages()]) if os.path.isdir(folder)]
    return {
        "site": packages,
        "keep": [] if sys.dont_write_bytecode else [os.path.join(folder, "") for folder in packages],
        "path": [os.path.abspath(entry) for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry],
        "prefix": sys.prefix,
        "executable": sys.executable,
    }
