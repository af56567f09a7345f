"""Tensors of 4 MB on loopback: shared memory beside the wire, in one run, against one embedded server.

    python perf/bench_shared_memory.py [--rounds N] [--calls N] [--megabytes N]

The model is a Python one that returns its input. `own` sends arrays that lie in shared memory already,
`automatic` those that don't, `wire` all over the connection. The clients take turns within each round; figures are
medians over rounds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from bench_client import MODEL, measure

from tritonforge.client import Client
from tritonforge.server import Server

CONFIG = """
name: "identity" backend: "python" max_batch_size: 64
input { name: "x" data_type: TYPE_FP32 dims: [-1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1] }
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        version = Path(folder, "identity", "1")
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL)
        (version.parent / "config.pbtxt").write_text(CONFIG)
        server = stack.enter_context(Server.embedded(folder, http_port=0, grpc_port=0, metrics_port=0))
        size = options.megabytes * (1 << 20) // 4
        for protocol, url in (("http", server.http_url), ("grpc", server.grpc_url)):
            medians_us = measure(callers(url, size, stack), options.rounds, options.calls)
            for name, median_us in medians_us.items():
                ratio = medians_us["wire"] / median_us
                print(f"{protocol} {name:10} {median_us:9.0f} µs  {ratio:5.2f}x the calls of the wire")


def callers(url: str, size: int, stack: ExitStack) -> dict[str, Callable[[], Any]]:
    """Make the functions that are compared: one call each."""
    row = np.random.default_rng(0).random((1, size), np.float32)
    shared = stack.enter_context(Client(url))
    wire = stack.enter_context(Client(url, shared_memory=False))
    arrays = stack.enter_context(shared.shared(x=(row.shape, np.float32)))
    arrays["x"][...] = row
    return {
        "wire": lambda: wire.infer("identity", x=row)["y"],
        "automatic": lambda: shared.infer("identity", x=row)["y"],
        "own": lambda: shared.infer("identity", x=arrays["x"])["y"],
    }


if __name__ == "__main__":
    main()
