"""Many inferences, so many at a time: what `map` does with its inputs, apart from who runs the calls."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from tritonforge.client.batches import Piece, Reassembly, merge_arrays, pieces_of, slices_of
from tritonforge.client.call import Definition, give_back, make_inputs
from tritonforge.client.errors import ClientError, InvalidRequest, Target
from tritonforge.client.metadata import ServedModel
from tritonforge.client.result import Result

__all__ = ["Counts", "Mapped", "Progress", "Work", "make_work", "name_item", "run_in_threads"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a map has come: requests answered, and their rows."""

    requests: int
    rows: int


@dataclass(frozen=True, slots=True)
class Work(Generic[R]):
    """A map's requests as they are made one by one, and what becomes of the results."""

    pieces: Iterator[Piece]
    convert: Callable[[Result], R]
    concurrency: int
    ordered: bool
    progress: Callable[[Progress], object] | None


class Mapped(Generic[R]):
    """Results as they come. Read on, and more requests are sent; close it, and no more are."""

    def __init__(self, results: Generator[tuple[int, Result], None, None], convert: Callable[[Result], R]) -> None:
        self._results = results
        self._convert = convert

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        return self._convert(next(self._results)[1])

    def indexed(self) -> Iterator[tuple[int, R]]:
        """Give each result with the number of its item, from 0."""
        for number, result in self._results:
            yield number, self._convert(result)

    def merge(self) -> R:
        """Join all results that are left along the batch. Raise ValueError where there are none."""
        results = list(self._results)
        if not results:
            raise ValueError("there are no results to merge")
        return self._convert(merge_arrays([result for _, result in sorted(results, key=lambda pair: pair[0])]))

    def close(self) -> None:
        """Send no more requests; wait for those under way."""
        self._results.close()


def make_work(
    model: str | Definition[R],
    inputs: Any,
    served: ServedModel,
    target: Target,
    *,
    batch_size: int | None,
    concurrency: int,
    ordered: bool,
    progress: Callable[[Progress], object] | None,
) -> Work[Any]:
    """Make the requests of a map. Raise ValueError for numbers out of range, InvalidRequest for inputs of no kind.

    Arrays, alone or by name, are cut into items of `batch_size` rows; else each item of an iterable is one.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}; it must be 1 or more")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
    most = served.max_batch_size
    size = most if batch_size is None else min(batch_size, most or batch_size)
    if not served.signature.batched:
        size = 0
    read = _reader(model, served, target)
    if isinstance(inputs, (Mapping, np.ndarray)):
        items: Iterable[Mapping[str, Any]] = slices_of(read(inputs), size)
    elif isinstance(inputs, (str, bytes)) or not isinstance(inputs, Iterable):
        kind = type(inputs).__name__
        raise InvalidRequest(f"map() takes arrays, or an iterable of batches; this is a {kind}", target)
    else:
        items = map(read, inputs)
    convert = (lambda result: result) if isinstance(model, str) else (lambda result: give_back(model, result, target))
    return Work(pieces_of(items, size), convert, concurrency, ordered, progress)


def run_in_threads(
    work: Work[Any], infer: Callable[[Mapping[str, Any]], Result]
) -> Generator[tuple[int, Result], None, None]:
    """Make the requests in threads; give each item's number and result. Raise the first error, and send no more."""
    counts = Counts(work)
    assembly = Reassembly(ordered=work.ordered)
    pool = ThreadPoolExecutor(work.concurrency, thread_name_prefix="tritonforge-map")
    try:
        waiting = _in_order if work.ordered else _as_completed
        for piece, result in waiting(work, pool, infer):
            counts.add(piece)
            yield from assembly.add(piece, result)
    finally:
        pool.shutdown(cancel_futures=True)


def name_item(error: ClientError, piece: Piece) -> ClientError:
    """Say in an error which item it was."""
    part = f", part {piece.part + 1} of {piece.parts}" if piece.parts > 1 else ""
    error.reason = f"item {piece.item}{part}: {error.reason}"
    return error


class Counts:
    """What a map's `progress` is told."""

    def __init__(self, work: Work[Any]) -> None:
        self._tell = work.progress
        self._requests = self._rows = 0

    def add(self, piece: Piece) -> None:
        """Count an answer, and tell of it."""
        self._requests += 1
        self._rows += piece.rows
        if self._tell is not None:
            self._tell(Progress(self._requests, self._rows))


def _in_order(
    work: Work[Any], pool: ThreadPoolExecutor, infer: Callable[[Mapping[str, Any]], Result]
) -> Iterator[tuple[Piece, Result]]:
    # Twice as many are handed over as run, so that threads have work while the first one is waited for.
    under_way: deque[tuple[Piece, Future[Result]]] = deque()
    while True:
        while len(under_way) < 2 * work.concurrency and (piece := next(work.pieces, None)) is not None:
            under_way.append((piece, pool.submit(infer, piece.inputs)))
        if not under_way:
            return
        piece, future = under_way.popleft()
        yield piece, _result(piece, future)


def _as_completed(
    work: Work[Any], pool: ThreadPoolExecutor, infer: Callable[[Mapping[str, Any]], Result]
) -> Iterator[tuple[Piece, Result]]:
    done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
    under_way: dict[Future[Result], Piece] = {}
    while True:
        while len(under_way) < 2 * work.concurrency and (piece := next(work.pieces, None)) is not None:
            future = pool.submit(infer, piece.inputs)
            under_way[future] = piece
            future.add_done_callback(done.put)
        if not under_way:
            return
        future = done.get()
        piece = under_way.pop(future)
        yield piece, _result(piece, future)


def _result(piece: Piece, future: Future[Result]) -> Result:
    try:
        return future.result()
    except ClientError as error:
        raise name_item(error, piece) from None


def _reader(model: str | Definition[Any], served: ServedModel, target: Target) -> Callable[[Any], Mapping[str, Any]]:
    """Give what reads an item: arrays by name, one array for the one input, or a definition's arguments."""
    if not isinstance(model, str):
        definition = model

        def read_arguments(item: Any) -> Mapping[str, Any]:
            if isinstance(item, Mapping):
                return make_inputs(definition, (), item, target)
            return make_inputs(definition, item if isinstance(item, tuple) else (item,), {}, target)

        return read_arguments

    def read(item: Any) -> Mapping[str, Any]:
        if isinstance(item, Mapping):
            return item
        if len(served.signature.inputs) != 1:
            names = ", ".join(spec.name for spec in served.signature.inputs)
            raise InvalidRequest(f"an item is no mapping, and the model has several inputs: {names}", target)
        return {served.signature.inputs[0].name: item}

    return read
