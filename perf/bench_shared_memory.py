"""Tensors of 4 MB on loopback: shared memory beside the wire, in one run, against one embedded server.

    python perf/bench_shared_memory.py [--rounds N] [--calls N] [--megabytes N]

The model is a Python one that returns its input. `own` sends arrays that lie in shared memory already,
`automatic` those that don't, `wire` all over the connection. The clients take turns within each round; figures are
medians over rounds. Last, the most memory that Python held during one call over the wire, in sizes of the tensor: one
of them is the result, the others are copies, gRPC's own of the answer among them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from figures import note
from identity_model import MODEL, write_identity

from tritonforge.client import Client
from tritonforge.server import Server

TARGET = 1.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_identity(Path(folder), columns=-1)
        server = stack.enter_context(Server.embedded(folder, http_port=0, grpc_port=0, metrics_port=0))
        size = options.megabytes * (1 << 20) // 4
        for protocol, url in (("http", server.http_url), ("grpc", server.grpc_url)):
            calls = callers(url, size, stack)
            medians_us = take_turns(calls, options.rounds, options.calls)
            for name, median_us in medians_us.items():
                ratio = medians_us["wire"] / median_us
                if name != "wire":
                    note(f"{protocol}: {name} over the wire, {options.megabytes} MB", ratio, "×", at_least=TARGET)
                print(f"{protocol} {name:10} {median_us:9.0f} µs  {ratio:5.2f}x the calls of the wire")
            print(f"{protocol} wire: at most {peak(calls['wire']) / (4 * size):.2f} tensors held, result included")


def take_turns(functions: dict[str, Callable[[], Any]], rounds: int, calls: int) -> dict[str, float]:
    """Give the medians over rounds of the microseconds that one call takes; a first round is left out."""
    times_us: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls):
                function()
            if turn:
                times_us[name].append((time.perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(times) for name, times in times_us.items()}


def peak(function: Callable[[], Any]) -> int:
    """Give the most bytes that Python, and NumPy, held at once for a call."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def callers(url: str, size: int, stack: ExitStack) -> dict[str, Callable[[], Any]]:
    """Make the functions that are compared: one call each."""
    row = np.random.default_rng(0).random((1, size), np.float32)
    shared = stack.enter_context(Client(url))
    wire = stack.enter_context(Client(url, shared_memory=False))
    arrays = stack.enter_context(shared.shared(x=(row.shape, np.float32)))
    arrays["x"][...] = row
    return {
        "wire": lambda: wire.infer(MODEL, x=row)["y"],
        "automatic": lambda: shared.infer(MODEL, x=row)["y"],
        "own": lambda: shared.infer(MODEL, x=arrays["x"])["y"],
    }


if __name__ == "__main__":
    main()
