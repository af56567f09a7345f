"""One pipeline in its three lowerings, beside each other in one run against one embedded server.

    python perf/bench_lowerings.py [--rounds N] [--seconds S] [--concurrency N …]

Two pairs of steps: two Python functions (`steps_…`; the body of `steps_branching` looks at what the first gives), and
the breast-cancer example's function and ONNX classifier (`example_…`), the latter beside its bare ONNX classifier. All
of the example's models have two instances, as Triton gives the classifier. One row a request, as prepared bytes over
HTTP, by wrk.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from wrk_load import load, ratio, take_turns

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
ROW = np.random.default_rng(0).random((1, 30), np.float32)
GROUPS = (
    ("steps_ensemble", "steps_fused", "steps_bls", "steps_branching"),
    ("example_ensemble", "example_fused", "example_bls", "classifier"),
)
RATIOS = (
    (("steps_fused", "steps_ensemble"), ("steps_bls", "steps_ensemble"), ("steps_branching", "steps_ensemble")),
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("train.py", "__pycache__"))
        (folder / "source" / "lowerings.py").write_text(DEFINITIONS)
        build([folder / "source" / "lowerings.py"], folder / "model_repository")
        with Server.embedded(folder / "model_repository", http_port=0, grpc_port=0, metrics_port=0) as server:
            for concurrency in options.concurrency:
                for models, ratios in zip(GROUPS, RATIOS, strict=True):
                    measure = partial(
                        load,
                        server.http_url,
                        folder,
                        inputs={"features": ROW},
                        concurrency=concurrency,
                        seconds=options.seconds,
                    )
                    rates = take_turns(models, measure, rounds=options.rounds)
                    figures = ", ".join(f"{model} {statistics.median(found):.0f}/s" for model, found in rates.items())
                    print(f"concurrency {concurrency}: {figures}")
                    at = f"concurrency {concurrency}"
                    floors = FLOORS if concurrency == 64 else {}
                    held = [ratio(rates, *pair, at=at, at_least=floors.get(pair)) for pair in ratios]
                    print("   " + "; ".join(held), flush=True)


if __name__ == "__main__":
    main()
