"""What the soak test serves: a model that fails as it is told, a stream, sequences, and a pipeline that calls one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64

from tritonforge import Batching, Sequence, TritonError, model, pipeline

GOOD, RAISES, REFUSES, WRONG, SLOW = range(5)
SLOW_S = 0.02


@model(batching=Batching(max_batch_size=16, max_queue_delay_us=300))
def plain(x: Int64[np.ndarray, "batch 2"]) -> Int64[np.ndarray, "batch 1"]:
    """Take rows of a value and how to fare; give 3 · value + 1."""
    fare(x)
    return x[:-1, :1] if (x[:, 1] == WRONG).any() else 3 * x[:, :1] + 1


@model
def stream(x: Int64[np.ndarray, "3"]) -> Iterator[Int64[np.ndarray, "1"]]:
    """Take a value, a count and how to fare at the last; give that many responses, value, value + 1, …"""
    value, count, how = x.tolist()
    for place in range(count):
        if place == count - 1:
            fare(np.array([[value, how]]))
        time.sleep(SLOW_S if how == SLOW else 0)
        yield np.array([value + place])


@model(sequence=Sequence(max_idle_us=5_000_000), batching=Batching(max_batch_size=16))
class Sums:
    """Add up the values of a sequence."""

    def start(self) -> dict[str, int]:
        """Begin at nothing."""
        return {"sum": 0}

    def __call__(self, state: dict[str, int], x: Int64[np.ndarray, "batch 1"]) -> Int64[np.ndarray, "batch 1"]:
        """Give the sum so far."""
        state["sum"] += int(x.sum())
        return np.full_like(x, state["sum"])


@pipeline(lowering="bls")
def calling(x: Int64[np.ndarray, "batch 2"]) -> Int64[np.ndarray, "batch 1"]:
    """Call `plain` from within Triton."""
    return plain(x)


def fare(x: Int64[np.ndarray, "batch 2"]) -> None:
    """Do to some rows what they ask for."""
    for value, how in x.tolist():
        if how == RAISES:
            raise ValueError(f"raised for {value}.")
        if how == REFUSES:
            raise TritonError(f"refused {value}.", code="INVALID_ARG")
    if (x[:, 1] == SLOW).any():
        time.sleep(SLOW_S)
