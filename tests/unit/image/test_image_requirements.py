"""What goes into an image: packages, and their lock."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tritonforge.build import build
from tritonforge.image import project_requirements, required_packages
from tritonforge.image.wheels import lock

NUMPY = "numpy>=1.26,<2"

SERVING = """
import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model(requirements=["scikit-learn==1.5.2", "pandas"])
def scale(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x * 2
"""


def test_requirements_of_definitions_come_by_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "serving.py").write_text(SERVING)
    build([tmp_path / "serving.py"], tmp_path / "models")
    assert required_packages(tmp_path / "models") == (NUMPY, "pandas", "scikit-learn==1.5.2")
    assert required_packages(tmp_path / "models", ("polars",)) == (NUMPY, "pandas", "scikit-learn==1.5.2")


def test_the_projects_requirements_stand_in(tmp_path: Path) -> None:
    """tritonforge itself is no server's requirement; a package whose name begins so may be."""
    pyproject = tmp_path / "pyproject.toml"
    assert project_requirements(pyproject) == ()
    pyproject.write_text('[project]\ndependencies = ["tritonforge[torch]>=0.1", "tritonforge-extras", "pandas"]\n')
    assert project_requirements(pyproject) == ("tritonforge-extras", "pandas")


@pytest.mark.parametrize(
    ("config", "packages"),
    [
        ('backend: "onnxruntime"', (NUMPY, "onnxruntime")),
        ('platform: "pytorch_libtorch"', (NUMPY, "torch")),
        ('backend: "python"', (NUMPY,)),
    ],
)
def test_backends_that_run_in_python_have_their_packages(
    tmp_path: Path, config: str, packages: tuple[str, ...]
) -> None:
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "config.pbtxt").write_text(config)
    assert required_packages(tmp_path) == packages
    assert required_packages(tmp_path, native=True) == (NUMPY,)


def test_graphs_of_a_fused_pipeline_need_onnxruntime_in_python_everywhere(tmp_path: Path) -> None:
    graph = tmp_path / "fraud" / "1" / "weights" / "classifier" / "model.onnx"
    graph.parent.mkdir(parents=True)
    graph.touch()
    (tmp_path / "fraud" / "config.pbtxt").write_text('backend: "python"')
    assert required_packages(tmp_path, native=True) == (NUMPY, "onnxruntime")


def test_every_wheel_is_locked_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "Some_Package-1.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "another-2.0-1-py3-none-any.whl").write_bytes(b"other")
    assert lock(tmp_path) == (
        f"another==2.0 --hash=sha256:{hashlib.sha256(b'other').hexdigest()}\n"
        f"some-package==1.0 --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}\n"
    )
