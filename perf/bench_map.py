"""`map` over a million rows of 20 floats, beside what wrk gets out of the server with the same payloads.

    python perf/bench_map.py [--rows N] [--rounds N] [--concurrency N] [--seconds N]

The model is a Python one that returns its input, FP32[batch, 20], 64 rows a request. wrk (Debian package
`wrk`) and map take turns within each round. The memory is the process's largest, before and after the whole map.
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
from bench_client import CONFIG, MODEL
from wrk_load import load

from tritonforge.client import AsyncClient, Client
from tritonforge.server import Server

BATCH = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder, "repository", "identity", "1")
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL)
        (version.parent / "config.pbtxt").write_text(CONFIG)
        with Server.embedded(Path(folder, "repository"), http_port=0, grpc_port=0, metrics_port=0) as server:
            compare(server.http_url, Path(folder), options)


def compare(url: str, folder: Path, options: argparse.Namespace) -> None:
    """Take turns, and print the rates in rows a second and their ratio."""
    batch = {"x": np.random.default_rng(0).random((BATCH, 20), np.float32)}
    ratios: dict[str, list[float]] = {"threads": [], "tasks": []}
    for _ in range(options.rounds):
        ceiling = BATCH * load(url, folder, "identity", batch, concurrency=options.concurrency, seconds=options.seconds)
        for kind, rate in (("threads", in_threads(url, options)), ("tasks", in_tasks(url, options))):
            ratios[kind].append(rate / ceiling)
            print(f"wrk {ceiling:9.0f} rows/s, map in {kind} {rate:9.0f} rows/s: {rate / ceiling:.2f}")
    for kind, found in ratios.items():
        print(f"map in {kind}/wrk: {statistics.median(found):.3f} ({min(found):.2f} … {max(found):.2f})")


def batches(rows: int) -> Iterator[np.ndarray]:
    """Make rows batch by batch, so that all of them are never there at once."""
    batch = np.random.default_rng(0).random((BATCH, 20), np.float32)
    for _ in range(rows // BATCH):
        yield batch


def in_threads(url: str, options: argparse.Namespace) -> float:
    """Map with a Client; give rows a second, and print how much memory it took."""
    with Client(url) as client:
        list(client.map("identity", batches(10_000), concurrency=options.concurrency))
        before, start = peak_mb(), time.perf_counter()
        rows = sum(
            len(result.y) for result in client.map("identity", batches(options.rows), concurrency=options.concurrency)
        )
        rate = rows / (time.perf_counter() - start)
        print(f"{rows} rows; the largest resident size grew from {before:.0f} to {peak_mb():.0f} MB")
        return rate


def in_tasks(url: str, options: argparse.Namespace) -> float:
    """Map with an AsyncClient; give rows a second."""

    async def run() -> float:
        async with AsyncClient(url) as client:
            start, rows = time.perf_counter(), 0
            async for result in client.map("identity", batches(options.rows), concurrency=options.concurrency):
                rows += len(result.y)
            return rows / (time.perf_counter() - start)

    return asyncio.run(run())


def peak_mb() -> float:
    """Give the largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
