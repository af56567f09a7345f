"""What goes into an image: packages, their lock, and the compose file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from tritonforge.build import build
from tritonforge.image import project_requirements, required_packages, write_compose
from tritonforge.image.wheels import lock
from tritonforge.server.docker_container import Image
from tritonforge.server.shared_memory import SharedMemory

IMAGE = Image("fraud:1", user="10001:10001")
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


def test_compose_runs_the_server_and_a_prometheus_that_scrapes_it(tmp_path: Path) -> None:
    write_compose(tmp_path, image=IMAGE, shared_memory=SharedMemory(96 << 20, 2), models=tmp_path, gpus=True)
    services = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]
    server = services["triton"]
    assert server["image"] == "fraud:1"
    assert server["shm_size"] == 96 << 20
    assert server["volumes"] == [f"{tmp_path}:/models:ro"]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    assert server["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert [service["logging"]["options"]["max-size"] for service in services.values()] == ["64m", "64m"]
    scraped = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
    assert scraped == [{"targets": ["triton:8002"]}]
    assert "./prometheus.yml:/etc/prometheus/prometheus.yml:ro" in services["prometheus"]["volumes"]


def test_models_that_are_mounted_are_read_by_somebody_who_can(tmp_path: Path) -> None:
    """As by `up --runtime docker`: root's own files need root, where others can't read them."""
    owner = tmp_path.stat()
    for mode, roots in ((0o755, None), (0o700, "0:0")):
        tmp_path.chmod(mode)
        write_compose(tmp_path, image=IMAGE, shared_memory=SharedMemory(64 << 20, 1), models=tmp_path, gpus=False)
        server = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["triton"]
        assert server.get("user") == (f"{owner.st_uid}:{owner.st_gid}" if owner.st_uid else roots)


def test_a_baked_image_mounts_nothing(tmp_path: Path) -> None:
    write_compose(tmp_path, image=IMAGE, shared_memory=SharedMemory(64 << 20, 1), models=None, gpus=False)
    server = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["triton"]
    assert "volumes" not in server
    assert "deploy" not in server
