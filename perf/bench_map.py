"""`map` over a million rows of 20 floats, beside what wrk gets out of the server with the same payloads.

    python perf/bench_map.py [--rows N] [--rounds N] [--concurrency N] [--seconds N] [--identity]

The model scales the 20 features and gives them to a logistic regression, as one fused Python model, 64 rows a request;
with `--identity` it is one that returns its input, the hardest to keep up with. wrk (Debian package `wrk`) and map take
turns within each round. The memory is the process's largest, before and after the whole map.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from figures import note
from identity_model import write_identity
from numpy.typing import NDArray
from wrk_load import load

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client
from tritonforge.server import Server

BATCH, TARGET = 64, 0.8
SOURCE = """
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, model, pipeline

WEIGHTS = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
BATCHING = Batching(max_batch_size=64)


class Fraud(NamedTuple):
    label: Int64[np.ndarray, "batch"]
    probability: Float32[np.ndarray, "batch 2"]


@model(batching=BATCHING)
def normalize(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return (features - np.float32(0.5)) / np.float32(0.3)


@model(batching=BATCHING)
def classify(features: Float32[np.ndarray, "batch 20"]) -> Fraud:
    odds = np.exp(features @ WEIGHTS)
    return Fraud(odds.argmax(1), odds / odds.sum(1, keepdims=True))


@pipeline(lowering="fused")
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Fraud:
    return classify(normalize(features))
"""


_FRAUD = ("fraud", "features", "label")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--identity", action="store_true")
    options = parser.parse_args()
    options.model, options.input, options.output = ("identity", "x", "y") if options.identity else _FRAUD
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder, "repository")
        if options.identity:
            write_identity(repository, columns=20)
        else:
            Path(folder, "fraud.py").write_text(SOURCE)
            build([Path(folder, "fraud.py")], repository)
        with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
            compare(server.http_url, Path(folder), options)


def compare(url: str, folder: Path, options: argparse.Namespace) -> None:
    """Take turns, and print the rates in rows a second and their ratio."""
    batch = {options.input: np.random.default_rng(0).random((BATCH, 20), np.float32)}
    ratios: dict[str, list[float]] = {"threads": [], "tasks": []}
    for _ in range(options.rounds):
        ceiling = BATCH * load(
            url, folder, options.model, batch, concurrency=options.concurrency, seconds=options.seconds
        )
        for kind, rate in (("threads", in_threads(url, options)), ("tasks", in_tasks(url, options))):
            ratios[kind].append(rate / ceiling)
            print(f"wrk {ceiling:9.0f} rows/s, map in {kind} {rate:9.0f} rows/s: {rate / ceiling:.2f}")
    for kind, found in ratios.items():
        median = statistics.median(found)
        print(f"map in {kind}/wrk: {median:.3f} ({min(found):.2f} … {max(found):.2f}), target {TARGET}")
        note(f"map in {kind} over wrk", median, "×", at_least=TARGET)


def batches(rows: int) -> Iterator[NDArray[np.float32]]:
    """Make rows batch by batch, so that all of them are never there at once."""
    batch = np.random.default_rng(0).random((BATCH, 20), np.float32)
    for _ in range(rows // BATCH):
        yield batch


def in_threads(url: str, options: argparse.Namespace) -> float:
    """Map with a Client; give rows a second, and print how much memory it took."""
    with Client(url) as client:
        list(client.map(options.model, batches(10_000), concurrency=options.concurrency))
        before, start, cpu = peak_mb(), time.perf_counter(), time.process_time()
        rows = sum(
            len(result[options.output])
            for result in client.map(options.model, batches(options.rows), concurrency=options.concurrency)
        )
        rate = rows / (time.perf_counter() - start)
        cpu_us = (time.process_time() - cpu) / (rows / BATCH) * 1e6
        grew = f"the largest resident size grew from {before:.0f} to {peak_mb():.0f} MB"
        print(f"{rows} rows, {cpu_us:.0f} µs of CPU a request of ours; {grew}")
        note(f"client.map over {rows} rows, growth of the largest resident size", peak_mb() - before, "MB")
        return rate


def in_tasks(url: str, options: argparse.Namespace) -> float:
    """Map with an AsyncClient; give rows a second."""

    async def run() -> float:
        async with AsyncClient(url) as client:
            start, rows = time.perf_counter(), 0
            async for result in client.map(options.model, batches(options.rows), concurrency=options.concurrency):
                rows += len(result[options.output])
            return rows / (time.perf_counter() - start)

    return asyncio.run(run())


def peak_mb() -> float:
    """Give the largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
