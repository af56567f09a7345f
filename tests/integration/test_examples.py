"""The examples: trained to the same bytes each time, and served to the same answers as eager Python gives.

The repository that is served here was built from a copy of the examples that is gone by then, was moved afterwards, and
finds neither tritonforge nor jaxtyping.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tritonforge.server import Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
INPUT = {"breast_cancer": "features", "digits": "image"}
LABEL = {"breast_cancer": "label", "digits": "digit"}
LEAST_ACCURACY = {"breast_cancer": 0.93, "digits": 0.97}

HIDDEN = """
from importlib.util import find_spec
assert find_spec("numpy") and not find_spec("tritonforge") and not find_spec("jaxtyping")
"""

BUILD = """
import sys
from pathlib import Path
from tritonforge.build import build
output, *files = map(Path, sys.argv[1:])
build(files, output)
"""

# On PYTHONPATH as sitecustomize.py: the two packages are as good as not installed. Leaves a note of who was told so.
HIDE = """
import os, sys
from importlib.machinery import PathFinder
from pathlib import Path

class Hiding:
    @staticmethod
    def find_spec(name, path=None, target=None):
        hidden = name.partition(".")[0] in {"tritonforge", "jaxtyping"}
        return None if hidden else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
Path(__file__).with_name("told-" + os.path.basename(os.readlink("/proc/self/exe"))).touch()
"""

EAGER = """
import importlib, sys
import numpy as np
folder, name, input_name, answers = sys.argv[1:]
sys.path.insert(0, folder)
pipeline = getattr(importlib.import_module(name), name)
rows = np.load(folder + "/holdout.npz")[input_name]
np.savez(answers, **pipeline(**{input_name: rows})._asdict())
"""

# What somebody does who has Triton's own client and nothing else.
PLAIN_CLIENT = """
import importlib, sys
import numpy as np
protocol, url, folder, name, input_name, answers = sys.argv[1:]
triton = importlib.import_module("tritonclient." + protocol)
client = triton.InferenceServerClient(url)
rows = np.load(folder + "/holdout.npz")[input_name]
datatype = {"float32": "FP32", "uint8": "UINT8"}[rows.dtype.name]
parts = []
for start in range(0, len(rows), 50):
    part = rows[start : start + 50]
    tensor = triton.InferInput(input_name, part.shape, datatype)
    tensor.set_data_from_numpy(part)
    parts.append(client.infer(name, [tensor]))
response = parts[0].get_response()
outputs = response["outputs"] if isinstance(response, dict) else [{"name": output.name} for output in response.outputs]
names = [output["name"] for output in outputs]
np.savez(answers, **{output: np.concatenate([part.as_numpy(output) for part in parts]) for output in names})
assert "tritonforge" not in sys.modules
"""


def python(*arguments: str | Path, cwd: Path, seed: int = 0) -> None:
    """Run Python to success, or fail with what it wrote."""
    environment = dict(os.environ, PYTHONHASHSEED=str(seed), PYTHONDONTWRITEBYTECODE="1")
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def load(answers: Path) -> dict[str, np.ndarray]:
    """Read an .npz file wholly."""
    with np.load(answers) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a build of the examples: moved, its source gone, tritonforge out of the models' reach."""
    folder = tmp_path_factory.mktemp("examples")
    source, built, moved, hiding = (folder / name for name in ("source", "built", "moved", "hiding"))
    shutil.copytree(EXAMPLES, source, ignore=shutil.ignore_patterns("__pycache__", "train.py", "holdout.npz"))
    files = [source / name / f"{name}.py" for name in INPUT]
    python("-c", BUILD, built, *files, cwd=source)
    shutil.move(built, moved)
    shutil.rmtree(source)
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text(HIDE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(hiding))
        python("-c", HIDDEN, cwd=folder)
        running = Server.embedded(moved, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0)
        with running as server:
            patch.undo()
            assert (hiding / "told-triton_python_backend_stub").exists()
            yield server


@pytest.fixture(scope="module", params=sorted(INPUT))
def example(request: pytest.FixtureRequest) -> str:
    """Name an example."""
    return str(request.param)


@pytest.fixture(scope="module")
def eager(example: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Ask eager Python for all held-out rows."""
    folder = tmp_path_factory.mktemp("eager")
    python("-c", EAGER, EXAMPLES / example, example, INPUT[example], folder / "answers.npz", cwd=folder)
    return load(folder / "answers.npz")


def test_the_eager_answers_are_mostly_right(example: str, eager: dict[str, np.ndarray]) -> None:
    known = load(EXAMPLES / example / "holdout.npz")[LABEL[example]]
    assert np.mean(eager[LABEL[example]] == known) >= LEAST_ACCURACY[example]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritons_own_client_gets_the_eager_answers_from_a_moved_repository(
    server: Server, example: str, eager: dict[str, np.ndarray], protocol: str, tmp_path: Path
) -> None:
    url = (server.http_url if protocol == "http" else server.grpc_url).partition("://")[2]
    answers = tmp_path / "answers.npz"
    python("-c", PLAIN_CLIENT, protocol, url, EXAMPLES / example, example, INPUT[example], answers, cwd=tmp_path)
    served = load(answers)
    assert served.keys() == eager.keys()
    for name, wanted in eager.items():
        assert served[name].dtype == wanted.dtype
        np.testing.assert_allclose(
            served[name].reshape(wanted.shape), wanted, rtol=1e-6 if wanted.dtype.kind == "f" else 0, atol=0
        )


def test_training_twice_gives_the_same_bytes(example: str, tmp_path: Path) -> None:
    made = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("__pycache__", "*.npz", "*.onnx"))
        python("train.py", cwd=folder, seed=seed)
        made.append({file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".py"})
    assert made[0].keys() >= {"holdout.npz"}
    assert made[0] == made[1]
