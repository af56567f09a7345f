"""Settings in the real server: warm-up from arrays, labels, metrics tags; and a repository that was imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from repositories import FREE_PORTS, write_model

from tritonforge.build import build
from tritonforge.build.importer import import_repository
from tritonforge.server import Server

DEFINITIONS = """
import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, InstanceGroup, QueuePolicy, String, Tensor, VersionPolicy, Warmup, WarmupInput, model

SAMPLE = {
    "x": np.arange(6, dtype=np.float32).reshape(2, 3),
    "n": np.array([7, 8]),
    "word": np.array([["é"], ["b"]], dtype=object),
}


@model(
    batching=Batching(
        max_batch_size=8,
        priority_levels=2,
        default_priority_level=1,
        default_queue_policy=QueuePolicy(timeout_action="delay", default_timeout_us=1_000_000),
    ),
    instance_groups=[InstanceGroup(kind="cpu", count=1, name="only")],
    version_policy=VersionPolicy(latest=1),
    warmup=SAMPLE,
    tensors={"output": Tensor(labels=("low", "middle", "high"))},
    metric_tags={"team": "fraud"},
)
def seen(
    x: Float32[np.ndarray, "batch 3"], n: Int64[np.ndarray, "batch"], word: String[np.ndarray, "batch 1"]
) -> Float32[np.ndarray, "batch 3"]:
    print(f"seen: {x.tolist()} {n.tolist()} {word.tolist()!a}", flush=True)
    return x
"""


def number(name: str, array: np.ndarray, kind: str) -> triton.InferInput:
    tensor = triton.InferInput(name, list(array.shape), kind)
    tensor.set_data_from_numpy(array)
    return tensor


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_is_warmed_up_with_arrays_and_classifies_with_labels(project: Path) -> None:
    (project / "serving.py").write_text(DEFINITIONS)
    build([project / "serving.py"], project / "repository")
    with (
        Server.embedded(project / "repository", exit_timeout_s=0, **FREE_PORTS) as server,
        triton.InferenceServerClient(server.http_url.removeprefix("http://")) as client,
    ):
        warmed = "seen: [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]] [7, 7] [['\\xe9'], ['\\xe9']]"
        assert warmed in server.log_text()
        inputs = [
            number("x", np.array([[1, 3, 2]], np.float32), "FP32"),
            number("n", np.array([[1]]), "INT64"),
            number("word", np.array([["w"]], object), "BYTES"),
        ]
        wanted = [triton.InferRequestedOutput("output", class_count=2)]
        answer = client.infer("seen", inputs, outputs=wanted).as_numpy("output")
        assert [value.decode().split(":")[2] for value in answer.reshape(-1)] == ["middle", "high"]
        assert client.get_model_config("seen")["model_warmup"][0]["batch_size"] == 2


CHAINED = """
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from tritonforge import Tensor, model, pipeline


class Verdict(NamedTuple):
    verdict: Float32[np.ndarray, "batch 3"]


@model(tensors={"output": Tensor(labels=("low", "middle", "high"))})
def scored(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return x * 2


def chained(x: Float32[np.ndarray, "batch 3"]) -> Verdict:
    return Verdict(scored(x))


in_ensemble = pipeline(chained, lowering="ensemble", name="in_ensemble")
in_fused = pipeline(chained, lowering="fused", name="in_fused")
in_bls = pipeline(chained, lowering="bls", name="in_bls")
"""


def test_a_pipeline_has_the_labels_of_its_steps_in_each_lowering(project: Path) -> None:
    (project / "chained.py").write_text(CHAINED)
    build([project / "chained.py"], project / "repository")
    with (
        Server.embedded(project / "repository", exit_timeout_s=0, **FREE_PORTS) as server,
        triton.InferenceServerClient(server.http_url.removeprefix("http://")) as client,
    ):
        wanted = [triton.InferRequestedOutput("verdict", class_count=2)]
        inputs = [number("x", np.array([[1, 3, 2]], np.float32), "FP32")]
        answers = [
            client.infer(name, inputs, outputs=wanted).as_numpy("verdict").reshape(-1).tolist()
            for name in ("in_ensemble", "in_fused", "in_bls")
        ]
        assert answers == [[b"6.000000:1:middle", b"4.000000:2:high"]] * 3


def test_a_repository_that_was_made_by_hand_is_served_from_its_import(project: Path) -> None:
    hand = project / "hand"
    code = (
        "import triton_python_backend_utils as utils\n\n\n"
        "class TritonPythonModel:\n"
        "    def execute(self, requests):\n"
        "        inputs = [request.inputs()[0].as_numpy() for request in requests]\n"
        '        return [utils.InferenceResponse([utils.Tensor("y", x * 2)]) for x in inputs]\n'
    )
    write_model(hand, "double", code)
    (project / "serving.py").write_text(import_repository(hand, project / "serving.py").source)
    build([project / "serving.py"], project / "repository")
    with (
        Server.embedded(project / "repository", exit_timeout_s=0, **FREE_PORTS) as server,
        triton.InferenceServerClient(server.http_url.removeprefix("http://")) as client,
    ):
        answer = client.infer("double", [number("x", np.array([[21]], np.float32), "FP32")])
        assert answer.as_numpy("y").tolist() == [[42]]
