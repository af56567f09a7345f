"""An async model over the same model without `async`, one instance each, in one run against one embedded server.

    python perf/bench_async.py [--rounds N] [--seconds S] [--concurrency N …]

Both wait 20 ms for each request, as for a database or another service, and aren't batched (`dynamic=False`). The ratio
at a concurrency of 16 says how many requests one instance has under way.
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

DEFINITIONS = """
import asyncio
import time

import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, Instances, model

Rows = Float32[np.ndarray, "batch 4"]
ALONE = Batching(max_batch_size=8, dynamic=False)


@model(batching=ALONE, instances=Instances(cpu=1))
async def waits(x: Rows) -> Rows:
    await asyncio.sleep(0.02)
    return x


@model(batching=ALONE, instances=Instances(cpu=1))
def blocks(x: Rows) -> Rows:
    time.sleep(0.02)
    return x
"""
ROW = np.ones((1, 4), np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "served.py").write_text(DEFINITIONS)
        build([folder / "served.py"], folder / "model_repository")
        with Server.embedded(folder / "model_repository", http_port=0, grpc_port=0, metrics_port=0) as server:
            for concurrency in options.concurrency:
                measure = partial(
                    load,
                    server.http_url,
                    folder,
                    inputs={"x": ROW},
                    concurrency=concurrency,
                    seconds=options.seconds,
                )
                rates = take_turns(("waits", "blocks"), measure, rounds=options.rounds)
                figures = ", ".join(f"{model} {statistics.median(found):.0f}/s" for model, found in rates.items())
                held = ratio(rates, "waits", "blocks", at=f"concurrency {concurrency}")
                print(f"concurrency {concurrency}: {figures}; {held}", flush=True)


if __name__ == "__main__":
    main()
