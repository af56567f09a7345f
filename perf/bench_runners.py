"""What the Python-based `pytorch` and `onnxruntime` backends make of batches, against one embedded server.

    python perf/bench_runners.py [--rounds N] [--seconds S]

Two ratios. Dynamic batching over none: the same TorchScript CNN (3×32×32 images) with `dynamic_batching` and without,
64 clients of one image each. The onnxruntime backend over onnxruntime itself: requests of 64 rows to a network that
takes 5 ms or more for them, by two clients, beside a loop in a process of its own that calls the same file with the
same rows. Both are one session with as many threads as there are cores; Triton's default of two instances would stream
two copies of the weights through the same caches. Requests are prepared bytes over HTTP, sent by wrk (Debian package
`wrk`), in turns.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from wrk_load import load, ratio, take_turns

from tritonforge.build import build
from tritonforge.server import Server

NETWORKS = """
from torch import nn


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(64, 10),
    ).eval()


def wide():
    return nn.Sequential(
        nn.Linear(512, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 512)
    ).eval()
"""
DEFINITIONS = """
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, Instances, torch_module, torchscript


def load_wide():
    from networks import wide
    return wide()


BATCHING = Batching(max_batch_size=64)
batched = torchscript(
    "cnn.pt",
    inputs={"input": Float32[np.ndarray, "batch 3 32 32"]},
    outputs={"logits": Float32[np.ndarray, "batch 10"]},
    batching=BATCHING,
)
one_instance = Instances(cpu=1)
wide = torch_module(load_wide, example=np.zeros((2, 512), np.float32), batching=BATCHING, instances=one_instance)
"""
SCRIPT = "import sys, torch, networks; torch.jit.script(networks.cnn()).save(sys.argv[1])"
DIRECT = """
import sys, time
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
given = {session.get_inputs()[0].name: np.load(sys.argv[2])}
for _ in range(10):
    session.run(None, given)
count, start = 0, time.perf_counter()
while (taken := time.perf_counter() - start) < float(sys.argv[3]):
    session.run(None, given)
    count += 1
print(count / taken)
"""
IMAGE = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
ROWS = np.random.default_rng(0).random((64, 512), np.float32)
CLIENTS = {"batched": 64, "unbatched": 64, "wide": 2}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = write(folder)
        with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
            measure = partial(rate, server, folder, seconds=options.seconds)
            for *models, floor in (("batched", "unbatched", 3.0), ("wide", "direct", 0.8)):
                rates = take_turns(models, measure, rounds=options.rounds)
                print(", ".join(f"{model} {statistics.median(found):.0f}/s" for model, found in rates.items()))
                print("   " + ratio(rates, *models, at_least=floor), flush=True)
            print(f"   direct takes {1000 / statistics.median(rates['direct']):.1f} ms for 64 rows")


def write(folder: Path) -> Path:
    """Build both models; put the first beside itself, without dynamic batching."""
    (folder / "pyproject.toml").touch()
    (folder / "networks.py").write_text(NETWORKS)
    (folder / "served.py").write_text(DEFINITIONS)
    subprocess.run([sys.executable, "-c", SCRIPT, "cnn.pt"], cwd=folder, check=True)
    repository = folder / "model_repository"
    build([folder / "served.py"], repository)
    shutil.copytree(repository / "batched", repository / "unbatched")
    config = (repository / "batched" / "config.pbtxt").read_text()
    without = [
        line.replace('"batched"', '"unbatched"') for line in config.splitlines() if "dynamic_batching" not in line
    ]
    (repository / "unbatched" / "config.pbtxt").write_text("\n".join(without))
    np.save(folder / "rows.npy", ROWS)
    return repository


def rate(server: Server, folder: Path, model: str, *, seconds: int) -> float:
    """Measure one model, or onnxruntime itself."""
    if model == "direct":
        weights = folder / "model_repository" / "wide" / "1" / "model.onnx"
        command = [sys.executable, "-c", DIRECT, str(weights), str(folder / "rows.npy"), str(seconds)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    array: Any = ROWS if model == "wide" else IMAGE
    return load(server.http_url, folder, model, {"input": array}, concurrency=CLIENTS[model], seconds=seconds)


if __name__ == "__main__":
    main()
