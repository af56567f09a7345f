"""The backend directory of the embedded server.

The wheel's only backend is `python`; its stub lies apart, one for each Python version. The others, `onnxruntime` and
`pytorch`, are Python-based backends of ours under the names of the native ones. All are copies: Triton 24.10 refuses a
Python-based backend where libtriton_python.so is a link ("escapes backend directory").

That library makes a folder `/tmp/python_env_XXXXXX` at its start, whatever TMPDIR says, and leaves it when it is
killed, or ended while models still load (24.10). In the copy the path is another of the same length, in a folder that
is ours to remove.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tritonforge.server.installed.installation import Installation

__all__ = ["ENVIRONMENTS", "PYTHON_BACKENDS", "assemble_backends", "keep_environments_in"]

PYTHON_BACKENDS = ("python", "onnxruntime", "pytorch")
"""All that the embedded server has: their models run in processes of their own, as the latter two are stand-ins."""

ENVIRONMENTS = "/tmp/python_env_"
"""How the paths begin where the Python backend unpacks the environments of models."""

_RUNTIME = "tritonforge_runtime"
_NO_BYTECODE = shutil.ignore_patterns("__pycache__")


def assemble_backends(folder: Path, installation: Installation, *, python: str, ours: Path) -> Path:
    """Make a backend directory in a new folder: `python` with the stub of a Python version, and those in `ours`.

    Each of ours has the runtime that they share (`tritonforge_runtime`): the first a copy, the others a link to that.
    """
    shutil.copytree(installation.python_backend, folder / "python", ignore=_NO_BYTECODE)
    stub = installation.stub(python)
    (folder / "python" / stub.name).symlink_to(stub)
    runtime = ""
    for backend in sorted(ours.iterdir()):
        if not (backend / "model.py").is_file() or backend.name == _RUNTIME:
            continue
        shutil.copytree(backend, folder / backend.name, ignore=_NO_BYTECODE)
        if runtime:
            (folder / backend.name / _RUNTIME).symlink_to(runtime)
        elif (ours / _RUNTIME).is_dir():
            shutil.copytree(ours / _RUNTIME, folder / backend.name / _RUNTIME, ignore=_NO_BYTECODE)
            runtime = f"../{backend.name}/{_RUNTIME}"
    return folder


def keep_environments_in(folder: Path, backends: Path) -> bool:
    """Have the Python backend of a backend directory unpack environments below a folder; False if that isn't possible.

    The folder's path is as long as `ENVIRONMENTS` is without its last character, as it takes the place of that.
    """
    library = backends / "python" / "libtriton_python.so"
    begins, instead = ENVIRONMENTS.encode(), f"{folder}/".encode()
    content = library.read_bytes()
    if len(begins) != len(instead) or content.count(begins) != 1:
        return False
    library.write_bytes(content.replace(begins, instead))
    return True
