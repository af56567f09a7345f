"""A model that waits while a file is there, and writes down what it computes; by itself, and in pipelines."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from tritonforge import Batching, QueuePolicy, model, pipeline

Rows = Int64[np.ndarray, "batch 1"]
LIMITED = QueuePolicy(default_timeout_us=60_000_000, allow_timeout_override=True)


def hold() -> Path:
    return Path(tempfile.gettempdir()) / "tritonforge-skipped-hold"


def computed() -> Path:
    return Path(tempfile.gettempdir()) / "tritonforge-skipped-computed"


def compute(x: np.ndarray) -> np.ndarray:
    with computed().open("a") as file:
        file.writelines(f"{value}\n" for value in x.ravel())
    deadline = time.monotonic() + 30
    while hold().exists():
        assert time.monotonic() < deadline, "nobody has taken the file away"
        time.sleep(0.01)
    return x


@model
def plain(x: Rows) -> Rows:
    return compute(x)


@model(batching=Batching(dynamic=False))
def unbatched(x: Rows) -> Rows:
    """Without the dynamic batcher; the server's queue is another one."""
    return compute(x)


@model(batching=Batching(default_queue_policy=LIMITED))
def limited(x: Rows) -> Rows:
    return compute(x)


@pipeline
def chained(x: Rows) -> Rows:
    return limited(x)


fused_chained = pipeline(lowering="fused")(chained)
bls_chained = pipeline(lowering="bls")(chained)
