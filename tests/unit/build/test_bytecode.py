"""What a build leaves of the modules that it has compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEFINITIONS = """
import beside, installed
import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
def same(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
    return x
"""


@pytest.mark.parametrize("kept", [True, False])
def test_bytecode_is_kept_of_packages_alone(kept: bool, tmp_path: Path) -> None:
    """The user's folders stay as they were; and nothing is kept where Python is so told."""
    packages, project = tmp_path / "site-packages", tmp_path / "project"
    packages.mkdir()
    project.mkdir()
    (packages / "installed.py").touch()
    (project / "beside.py").touch()
    (project / "same.py").write_text(DEFINITIONS)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(packages), *sys.path])
    if not kept:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-m", "tritonforge", "build", "same.py", "-o", "models"]
    subprocess.run(command, cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert [file.name.partition(".")[0] for file in tmp_path.rglob("__pycache__/*")] == ["installed"] * kept
