"""Many inferences, so many at a time: what `map` does with its inputs, apart from who runs the calls."""

from __future__ import annotations

import contextvars
import inspect
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Generic, TypeVar

import numpy as np

from tritonforge.client.call import Definition, give_back
from tritonforge.client.calls.batches import Piece, Reassembly, merge_arrays
from tritonforge.client.calls.map_inputs import Pieces, await_pieces, name_item, pieces_of, reader
from tritonforge.client.errors import ClientError, InferenceFailed, Target
from tritonforge.client.metadata import ServedModel
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import kind_of, require_number

__all__ = [
    "Counts",
    "Mapped",
    "Progress",
    "Work",
    "make_work",
    "require_rows",
    "require_unread",
    "run_in_threads",
]

R = TypeVar("R")

_ANY, _NOTHING = -1, -2  # in the place of a piece's number


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
    batched: bool
    target: Target
    awaited: AsyncGenerator[Piece, None] | None = None
    """The requests instead, where what they are made of is waited for."""


class Mapped(Generic[R]):
    """Results as they come, once. Read on, and more requests are sent; close it, and no more are.

    Several threads may read one: each result goes to one of them.
    """

    def __init__(self, results: Generator[tuple[int, Result], None, None], convert: Callable[[Result], R]) -> None:
        self._results = results
        self._convert = convert
        self._read = 0
        self._lock = threading.RLock()  # a generator refuses a second thread; from within, as by `progress`, still

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        return self._convert(self._next()[1])

    def indexed(self) -> Iterator[tuple[int, R]]:
        """Give each result with the number of its item, from 0."""
        return map(self._numbered, iter(self._next, None))  # not a generator: several threads may read it, too

    def merge(self) -> R:
        """Join all results along the batch. Raise RuntimeError where some were read before.

        Raise ValueError where there are none, and where outputs differ in more than their rows.
        """
        with self._lock:
            require_unread(self._read)
            results = list(self._results)
            self._read = len(results)
        if not results:
            raise ValueError("there are no results to merge")
        return self._convert(merge_arrays([result for _, result in sorted(results, key=lambda pair: pair[0])]))

    def close(self) -> None:
        """Send no more requests, and drop the answers to those under way, without waiting for them.

        While another thread waits for a result, that one is waited for.
        """
        with self._lock:
            self._results.close()

    def _numbered(self, item: tuple[int, Result]) -> tuple[int, R]:
        return item[0], self._convert(item[1])

    def _next(self) -> tuple[int, Result]:
        with self._lock:
            item = next(self._results)
            self._read += 1
        return item


def require_unread(read: int) -> None:
    """Raise RuntimeError where a map's results were read before it is to join all of them."""
    if read:
        raise RuntimeError(f"{read} of the results have been read: merge() joins all, and is called before the first")


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
    may_await: bool = False,
) -> Work[Any]:
    """Make the requests of a map, also of what `may_await` has waited for. Raise InvalidRequest for inputs of no kind.

    Raise TypeError for settings that are no whole numbers, ValueError for those out of range. Arrays, alone or by name,
    are cut into items of `batch_size` rows; else each item of an iterable is one.
    """
    require_number("concurrency", concurrency, Integral)
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}; it must be 1 or more")
    if batch_size is not None:
        require_number("batch_size", batch_size, Integral)
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
    if not isinstance(ordered, (bool, np.bool_)):
        raise TypeError(f"ordered is {kind_of(ordered)}; it is True or False")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress is {kind_of(progress)}; it is a function, which is told how far the map is")
    if inspect.iscoroutinefunction(progress):
        raise TypeError("progress is an async function, which nobody would await; it is a plain one")
    most = served.max_batch_size
    size = most if batch_size is None else min(batch_size, most or batch_size)
    if not served.signature.batched:
        size = 0
    read = reader(model, served, target)
    awaited = await_pieces(inputs, read, size) if may_await and isinstance(inputs, AsyncIterable) else None
    pieces = pieces_of(() if awaited else inputs, read, size, target)
    convert = (lambda result: result) if isinstance(model, str) else (lambda result: give_back(model, result, target))
    return Work(pieces, convert, concurrency, ordered, progress, served.signature.batched, target, awaited)


def run_in_threads(work: Work[Any], infer: Callable[[Piece], Result]) -> Generator[tuple[int, Result], None, None]:
    """Make the requests in threads; give each item's number and result. Raise the first error, and send no more."""
    counts = Counts(work)
    assembly = Reassembly(ordered=work.ordered)
    crew = _Crew(work.concurrency, infer)
    try:
        for piece, result in _results(work, crew):
            counts.add(piece)
            yield from assembly.add(piece, result)
    finally:
        crew.dismiss()
    crew.wait()


def require_rows(work: Work[Any], piece: Piece, result: Result) -> None:
    """Raise InferenceFailed where an output has other rows than were sent: whose they are can't be told."""
    if not (work.batched and piece.rows):
        return
    for name, array in result.outputs.items():
        if array.shape[:1] != (piece.rows,):
            words = (
                f'output "{name}" is {list(array.shape)}, of an input of {piece.rows} rows: a batch has one for each'
            )
            raise name_item(InferenceFailed(words, work.target), piece)


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


class _Crew:
    """Threads that make requests: pieces in, outcomes out. A pool's futures would cost as much as a request's bytes."""

    def __init__(self, size: int, infer: Callable[[Piece], Result]) -> None:
        self._infer = infer
        self._todo: queue.SimpleQueue[tuple[int, Piece] | None] = queue.SimpleQueue()
        self._done: dict[int, tuple[Piece, Result | BaseException]] = {}
        self._wanted = _NOTHING
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._size = size
        self._here = contextvars.copy_context()  # the caller's: a trace, above all
        self._threads: list[threading.Thread] = []

    def hand(self, number: int, piece: Piece) -> None:
        """Have a request made by whoever is free next; as long as there are fewer than may be, by one more."""
        if len(self._threads) < self._size:
            name = f"tritonforge-map-{len(self._threads)}"
            thread = threading.Thread(target=self._here.copy().run, args=(self._work,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._todo.put((number, piece))

    def outcome(self, number: int) -> tuple[Piece, Result | BaseException]:
        """Wait for what has become of one piece, or of `_ANY`. For any other nobody is woken: that is what costs."""
        while not (self._done if number == _ANY else number in self._done):
            self._wanted = number
            # Asked again: it may have come before that, when no bell was rung. One too many does no harm.
            if not (self._done if number == _ANY else number in self._done):
                self._bell.get()
        self._wanted = _NOTHING
        # min() looks at all at one stroke; an iterator of ours would notice what other threads add meanwhile.
        return self._done.pop(min(self._done) if number == _ANY else number)

    def dismiss(self) -> None:
        """Make no more requests; each thread ends after the one that it is at."""
        with suppress(queue.Empty):
            while True:
                self._todo.get_nowait()
        for _ in self._threads:
            self._todo.put(None)

    def wait(self) -> None:
        """Wait until the threads have ended."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            number, piece = task
            outcome: Result | BaseException
            try:
                outcome = self._infer(piece)
            except BaseException as error:  # it is raised where the results are read
                outcome = error
            self._done[number] = piece, outcome
            if self._wanted in (number, _ANY):
                self._bell.put(None)


def _results(work: Work[Any], crew: _Crew) -> Iterator[tuple[Piece, Result]]:
    """Give each piece with its result, in their order or as they come. Raise the first error that is met so."""
    pieces = Pieces(work.pieces)
    handed = given = 0
    while True:
        # Twice as many are handed over as run, so that threads have work while the first one is waited for.
        while handed - given < 2 * work.concurrency and (piece := pieces.take()) is not None:
            crew.hand(handed, piece)
            handed += 1
        if given == handed:
            pieces.end()
            return
        piece, outcome = crew.outcome(given if work.ordered else _ANY)
        given += 1
        if isinstance(outcome, ClientError):
            raise name_item(outcome, piece) from None
        if isinstance(outcome, BaseException):
            raise outcome
        require_rows(work, piece, outcome)
        yield piece, outcome
