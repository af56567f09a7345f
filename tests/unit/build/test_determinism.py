"""The same definitions give the same bytes: in another folder, with other hashes, at another time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from projects import Project, scale, tree

SERVING = """
import helper_a, helper_b, helper_c

STATS = asset("stats.txt")
classifier = onnx("classifier.onnx")

class Out(NamedTuple):
    scaled: Float32[np.ndarray, "batch 4"]
    x: Float32[np.ndarray, "batch 4"]
    again: Float32[np.ndarray, "batch 4"]
    y: Float32[np.ndarray, "batch 4"]

@pipeline
def everything(x: Float32[np.ndarray, "batch 4"], y: Float32[np.ndarray, "batch 4"]) -> Out:
    scaled = one(classifier(two(x)))
    return Out(scaled, x, scaled, y)
"""


@pytest.fixture
def rich(project: Project) -> Project:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", 4)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    onnx.save(helper.make_model(graph), project.root / "classifier.onnx")
    project.write({f"helper_{name}.py": "" for name in "abc"})
    project.write({"serving.py": SERVING + scale("one") + scale("two"), "stats.txt": "1"})
    return project


def build_elsewhere(project: Project, folder: Path, *, seed: str) -> dict[str, bytes]:
    shutil.copytree(project.root, folder)
    subprocess.run(
        [sys.executable, "-m", "tritonforge", "build", "serving.py", "-o", "out"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed, "TZ": f"UTC-{seed}"},
        check=True,
        timeout=60,
        capture_output=True,
    )
    return tree(folder / "out")


def test_other_folders_and_other_hash_seeds_give_the_same_bytes(rich: Project, tmp_path: Path) -> None:
    one = build_elsewhere(rich, tmp_path / "one", seed="1")
    other = build_elsewhere(rich, tmp_path / "a" / "longer path", seed="7")
    assert one == other
    assert set(one) > {"tritonforge.json", "everything/config.pbtxt", "everything.identity/1/model.py"}


def test_nothing_of_this_machine_is_in_the_repository(rich: Project, tmp_path: Path) -> None:
    for path, content in build_elsewhere(rich, tmp_path / "one", seed="1").items():
        assert str(tmp_path).encode() not in content, path
        assert str(Path.home()).encode() not in content, path


def test_the_order_of_the_files_makes_no_difference(rich: Project) -> None:
    rich.write({"more.py": scale("three")})
    rich.build("serving.py", "more.py")
    first = tree(rich.output)
    shutil.rmtree(rich.output)
    rich.build("more.py", "serving.py")
    assert tree(rich.output) == first


def test_diagnostics_come_in_the_same_order_too(rich: Project) -> None:
    rich.write({"serving.py": (rich.root / "serving.py").read_text().replace("batch 4", "batch 5", 1)})
    programs = [
        subprocess.run(
            [sys.executable, "-m", "tritonforge", "build", "serving.py"],
            cwd=rich.root,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for seed in ("1", "7")
    ]
    assert [done.returncode for done in programs] == [1, 1]
    assert programs[0].stderr == programs[1].stderr
    assert "[TF2" in programs[0].stderr
