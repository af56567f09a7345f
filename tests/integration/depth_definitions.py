"""Models that use what the runtime offers beyond a plain function, for the tests that serve them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

from tritonforge import Batching, Instance, Instances, Sequence, String, metrics, model, pipeline

TOGETHER = Batching(max_batch_size=16, max_queue_delay_us=100_000)


class Pooled(NamedTuple):
    mean: Float32[np.ndarray, "batch"]
    doubled: Int64[np.ndarray, "batch seq"]
    width: Int64[np.ndarray, "batch"]


def _pool(ids: np.ndarray, mask: np.ndarray) -> Pooled:
    assert (ids[~mask] == -1).all()
    mean = np.where(mask, ids, 0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    return Pooled(mean.astype(np.float32), ids * 2, np.full(len(ids), ids.shape[1]))


@model(batching=TOGETHER, pad={"seq": -1})
def pooled(ids: Int64[np.ndarray, "batch seq"], seq_mask: Bool[np.ndarray, "batch seq"]) -> Pooled:
    return _pool(ids, seq_mask)


@model(batching=TOGETHER, pad={"seq": -1}, pad_to=[4, 8])
def bucketed(ids: Int64[np.ndarray, "batch seq"], seq_mask: Bool[np.ndarray, "batch seq"]) -> Pooled:
    return _pool(ids, seq_mask)


@model(batching=TOGETHER, pad={"words": ""})
def joined(text: String[np.ndarray, "batch words"]) -> String[np.ndarray, "batch 1"]:
    return np.array([[" ".join(row).strip()] for row in text], dtype=object)


def helper(ids: np.ndarray) -> Pooled:
    return bucketed(ids)


@model(batching=TOGETHER)
def within(ids: Int64[np.ndarray, "batch seq"]) -> Pooled:
    """Call a model that pads, by way of a plain function."""
    return helper(ids)


@model(batching=TOGETHER)
class Within:
    def __call__(self, ids: Int64[np.ndarray, "batch seq"]) -> Pooled:
        return within(ids)


@pipeline(lowering="fused")
def fused_within(ids: Int64[np.ndarray, "batch seq"]) -> Pooled:
    return Within(ids)


@pipeline(lowering="fused")
def fused_pool(ids: Int64[np.ndarray, "batch seq"]) -> Pooled:
    return bucketed(ids)


@pipeline
def chained_pool(ids: Int64[np.ndarray, "batch seq"]) -> Pooled:
    return bucketed(ids)


class Sized(NamedTuple):
    total: Float32[np.ndarray, "batch"]
    rows: Int64[np.ndarray, "batch"]


@model(batching=TOGETHER)
def sized(x: Float32[np.ndarray, "batch n m"], y: Float32[np.ndarray, "batch n m"] | None = None) -> Sized:
    """Give the rows of the call, too, in which requests of one shape and with the same inputs share."""
    total = (x if y is None else x + y).sum(axis=(1, 2))
    return Sized(total, np.full(len(x), len(x)))


@model(parameters={"greeting": "hello", "FORCE_CPU_ONLY_INPUT_TENSORS": "yes"}, instances=Instances(cpu=2))
class Told:
    """Say what its instance was told."""

    def __init__(self, own: Instance, factor: int = 2) -> None:
        self.told = [own.kind, str(own.device_id), own.name, own.model, str(own.version), own.parameters["greeting"]]

    def __call__(self, x: Int64[np.ndarray, "n"]) -> String[np.ndarray, "6"]:
        return np.array(self.told, dtype=object)


@pipeline(lowering="fused")
def fused_told(x: Int64[np.ndarray, "n"]) -> String[np.ndarray, "6"]:
    return Part(x)


@model
class Part:
    """Say what the instance was told in which it is a part."""

    def __init__(self, own: Instance) -> None:
        self.told = [own.kind, str(own.device_id), own.name, own.model, str(own.version), ""]

    def __call__(self, x: Int64[np.ndarray, "n"]) -> String[np.ndarray, "6"]:
        return np.array(self.told, dtype=object)


CALLS = metrics.counter("depth_calls_total", "Calls of counted.")
LOAD = metrics.gauge("depth_load", "Rows in the last call of counted.")
ROWS = metrics.histogram("depth_rows", "Rows of a call of counted.", buckets=[1, 4])


@model(batching=Batching(max_batch_size=8, dynamic=False), instances=Instances(cpu=2))
def counted(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
    CALLS.inc()
    CALLS.inc(2, kind="double")
    LOAD.set(len(x))
    ROWS.observe(len(x))
    return x


class Totals:
    """Add up the values of a sequence."""

    def start(self) -> list[float]:
        return []

    def __call__(
        self, state: list[float], x: Float32[np.ndarray, "batch 1"]
    ) -> tuple[Float32[np.ndarray, "batch 1"], Int64[np.ndarray, "batch 1"]]:
        if x[0, 0] < 0:
            raise ValueError("negative")
        state.extend(x[:, 0].tolist())
        return np.full_like(x, sum(state)), np.full(x.shape, len(state))


oldest = model(sequence=Sequence(), batching=Batching(max_batch_size=32), instances=Instances(cpu=2))(Totals)
direct = model(sequence=Sequence(strategy="direct"), batching=Batching(max_batch_size=1024))(Totals)
short = model(sequence=Sequence(max_idle_us=200_000))(Totals)


@model(sequence=Sequence(max_sequences=4))
class Unbatched:
    """Give all values of a sequence so far."""

    def start(self) -> list[int]:
        return []

    def __call__(self, seen: list[int], x: Int64[np.ndarray, "1"]) -> Int64[np.ndarray, "n"]:
        seen.append(int(x[0]))
        return np.array(seen)
