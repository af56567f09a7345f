"""Which Python packages a repository needs in an image: what its definitions say, and what its backends run on."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tritonforge import pbtxt
from tritonforge.repository_files import read_text
from tritonforge.server.repository.folder import model_folders
from tritonforge.server.repository.manifest import read_requirements

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["NUMPY", "SERVER", "project_requirements", "required_packages"]

SERVER = "nvidia-pytriton==0.7.0"
"""The wheel that carries the server; nothing that it depends on is needed for that."""

NUMPY = "numpy>=1.26,<2"
"""The stubs of Triton 24.10 corrupt the tensors of NumPy 2."""


def required_packages(repository: Path, project: tuple[str, ...] = (), *, native: bool = False) -> tuple[str, ...]:
    """Give what pip is to install for the models: `requirements=` of their definitions, else the project's.

    Graphs of fused pipelines need onnxruntime in Python; all ONNX graphs do, and TorchScript torch, where the server
    has no `native` backends for them.
    """
    needed = [*(read_requirements(repository) or project)]
    backends = set() if native else {_backend(folder) for folder in model_folders(repository)}
    if "onnxruntime" in backends or any(repository.glob("*/*/weights/*/*.onnx")):
        needed.append("onnxruntime")
    if "pytorch" in backends:
        needed.append("torch")
    return (NUMPY, *needed)


def project_requirements(pyproject: Path) -> tuple[str, ...]:
    """Read `[project] dependencies` of a pyproject.toml, without tritonforge, which no server needs; none without one.

    Raises:
        ValueError: it isn't TOML.
    """
    if not pyproject.is_file():
        return ()
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    dependencies = content.get("project", {}).get("dependencies", [])
    return tuple(one for one in dependencies if not re.match(r"tritonforge\b(?![-_.])", one.strip(), re.IGNORECASE))


def _backend(folder: Path) -> str:
    """Read a model's backend; a folder without config.pbtxt has that of its file."""
    try:
        config = pbtxt.parse(read_text(folder / "config.pbtxt"))
    except (OSError, ValueError):
        return "onnxruntime" if any(folder.glob("*/model.onnx")) else ""
    return config.backend or {"onnxruntime_onnx": "onnxruntime", "pytorch_libtorch": "pytorch"}.get(config.platform, "")
