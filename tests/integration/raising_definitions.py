"""Models that raise what is hard to tell of, by the number that a request sends; 0 is answered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
from jaxtyping import Int64

from tritonforge import Sequence, TritonError, model, pipeline

Number = Int64[np.ndarray, "batch 1"]
HALF = json.loads('"\\ud83d"')  # half of a surrogate pair, as a client's text may bring it


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("has no words")


class Base(BaseException):
    pass


RAISED: dict[int, Callable[[], BaseException]] = {
    1: lambda: ValueError(f"odd {HALF} word"),
    2: lambda: TritonError(f"unknown word {HALF}", code="INVALID_ARG"),
    3: Silent,
    4: lambda: Base("own base"),
    5: lambda: GeneratorExit("left"),
    6: lambda: ValueError("a\0b"),
    7: lambda: TritonError(404, code="NOT_FOUND"),  # type: ignore[arg-type]  # as users write it
    8: lambda: SystemExit(3),
    9: KeyboardInterrupt,
    10: StopIteration,
    11: StopAsyncIteration,
}


def check(n: Number) -> None:
    for number in n.ravel().tolist():
        if number in RAISED:
            raise RAISED[number]()


@model
def plain(n: Number) -> Number:
    check(n)
    return n


@model
async def coroutine(n: Number) -> Number:
    check(n)
    return n


@model
def stream(n: Number) -> Iterator[Number]:
    yield n
    check(n)


@model
async def async_stream(n: Number) -> AsyncIterator[Number]:
    yield n
    check(n)


@model(sequence=Sequence())
class Summed:
    def start(self) -> int:
        return 0

    def __call__(self, state: int, n: Number) -> Number:
        check(n)
        return n


@pipeline(lowering="fused")
def fused(n: Number) -> Number:
    return plain(n)


@pipeline(lowering="bls")
def called(n: Number) -> Number:
    return plain(n) + 0


@pipeline(lowering="bls")
def branching(n: Number) -> Number:
    check(n)
    return plain(n) if n[0, 0] >= 0 else n


@pipeline(lowering="bls")
async def awaited(n: Number) -> Number:
    check(n)
    return await coroutine(n)


ALL = (plain, coroutine, stream, async_stream, Summed, fused, called, branching, awaited)
