"""One pipeline in its three lowerings, beside each other in one run against one embedded server.

    python perf/bench_lowerings.py [--starts N] [--rounds N] [--seconds S] [--concurrency N …]

Two pairs of steps: two Python functions (`steps_…`; the body of `steps_branching` looks at what the first gives), and
the breast-cancer example's function and ONNX classifier (`example_…`), the latter beside its bare ONNX classifier. All
of the example's models have two instances, as Triton gives the classifier. `by_hand` is `steps_bls` written by hand as
well as we can: requests stacked into one call of each step, no checks; it shows what calls between models cost in
Triton itself. One row a request, as prepared bytes over HTTP, by wrk. The server is started several times, as a process
is a little faster or slower than its twin for as long as it lives.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from wrk_load import Rates, load, pool, ratio, take_turns

from tritonforge.build import build
from tritonforge.server import Server

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "breast_cancer"
DEFINITIONS = """
import numpy as np
from breast_cancer import breast_cancer
from jaxtyping import Float32
from tritonforge import Batching, Instances, model, pipeline

BATCHING = Batching(max_batch_size=64)


@model(batching=BATCHING)
def shift(features: Float32[np.ndarray, "batch 30"]) -> Float32[np.ndarray, "batch 30"]:
    return features - np.float32(3)


@model(batching=BATCHING)
def scale(features: Float32[np.ndarray, "batch 30"]) -> Float32[np.ndarray, "batch 30"]:
    return features * np.float32(2)


@pipeline
def steps_ensemble(features: Float32[np.ndarray, "batch 30"]) -> Float32[np.ndarray, "batch 30"]:
    return scale(shift(features))


steps_fused = pipeline(lowering="fused")(steps_ensemble)
steps_bls = pipeline(lowering="bls")(steps_ensemble)


@pipeline(lowering="bls")
def steps_branching(features: Float32[np.ndarray, "batch 30"]) -> Float32[np.ndarray, "batch 30"]:
    shifted = shift(features)
    return scale(shifted) if (shifted < 0).any() else shifted


example_ensemble = pipeline()(breast_cancer)
example_fused = pipeline(lowering="fused", instances=Instances(cpu=2))(breast_cancer)
example_bls = pipeline(lowering="bls")(breast_cancer)
"""
BY_HAND = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.tensor, self.response = pb_utils.Tensor, pb_utils.InferenceResponse
        self.request = pb_utils.InferenceRequest
        self.memory = pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)

    def call(self, model, features):
        inputs = [self.tensor("features", features)]
        request = self.request(
            model_name=model, requested_output_names=["output"], inputs=inputs, preferred_memory=self.memory
        )
        response = request.exec()
        if response.has_error():
            raise pb_utils.TritonModelException(response.error().message())
        return response.output_tensors()[0].as_numpy()

    def execute(self, requests):
        inputs = [request.inputs()[0].as_numpy() for request in requests]
        outputs = self.call("scale", self.call("shift", np.concatenate(inputs) if len(inputs) > 1 else inputs[0]))
        responses = []
        start = 0
        for features in inputs:
            end = start + len(features)
            responses.append(self.response([self.tensor("output", outputs[start:end])]))
            start = end
        return responses
"""
ROW = np.random.default_rng(0).random((1, 30), np.float32)
GROUPS = (
    ("steps_ensemble", "steps_fused", "steps_bls", "by_hand", "steps_branching"),
    ("example_ensemble", "example_fused", "example_bls", "classifier"),
)
RATIOS = (
    (
        ("steps_fused", "steps_ensemble"),
        ("steps_bls", "steps_ensemble"),
        ("by_hand", "steps_ensemble"),
        ("steps_bls", "by_hand"),
        ("steps_branching", "steps_ensemble"),
    ),
    (
        ("example_fused", "example_ensemble"),
        ("example_bls", "example_ensemble"),
        ("example_fused", "classifier"),
    ),
)

FLOORS = {
    ("steps_fused", "steps_ensemble"): 1.5,
    ("steps_bls", "steps_ensemble"): 0.9,
    ("example_bls", "example_ensemble"): 0.9,
    ("example_fused", "classifier"): 0.95,
}
"""Of the ratios at concurrency 64."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=1, help="of each start")
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 64])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    found: dict[tuple[int, tuple[str, ...]], list[Rates]] = {
        (concurrency, models): [] for concurrency in options.concurrency for models in GROUPS
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = write(folder)
        for _ in range(options.starts):
            with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
                for (concurrency, models), starts in found.items():
                    measure = partial(
                        load,
                        server.http_url,
                        folder,
                        inputs={"features": ROW},
                        concurrency=concurrency,
                        seconds=options.seconds,
                    )
                    starts.append(take_turns(models, measure, rounds=options.rounds))
    for (concurrency, models), starts in found.items():
        report(concurrency, pool(starts), RATIOS[GROUPS.index(models)])


def write(folder: Path) -> Path:
    """Build the pipelines; put the one by hand beside them, with the same config.pbtxt."""
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("train.py", "__pycache__"))
    (folder / "source" / "lowerings.py").write_text(DEFINITIONS)
    repository = folder / "model_repository"
    build([folder / "source" / "lowerings.py"], repository)
    config = (repository / "steps_bls" / "config.pbtxt").read_text()
    (repository / "by_hand" / "1").mkdir(parents=True)
    (repository / "by_hand" / "config.pbtxt").write_text(config.replace('"steps_bls"', '"by_hand"'))
    (repository / "by_hand" / "1" / "model.py").write_text(BY_HAND)
    return repository


def report(concurrency: int, rates: Rates, ratios: Sequence[tuple[str, str]]) -> None:
    """Print medians, and the ratios of rates of the same round."""
    figures = ", ".join(f"{model} {statistics.median(found):.0f}/s" for model, found in rates.items())
    print(f"concurrency {concurrency}: {figures}")
    floors = FLOORS if concurrency == 64 else {}
    at = f"concurrency {concurrency}"
    held = [ratio(rates, *pair, at=at, at_least=floors.get(pair)) for pair in ratios]
    print("   " + "; ".join(held), flush=True)


if __name__ == "__main__":
    main()
