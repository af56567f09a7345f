"""Calls of a served model that are made at the same time, sent as one request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tritonforge_runtime.errors import TritonError
from tritonforge_runtime.merge import Merger

Arrays = Mapping[str, np.ndarray[Any, Any]]


class Doubling:
    """A served model that doubles `x`, refuses 13, and is busy with its first requests until it is told to go on."""

    def __init__(self, held: int = 2) -> None:
        self.seen: list[list[int]] = []
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()
        self._held = held

    def __call__(self, arrays: Arrays) -> Arrays:
        self.seen.append(arrays["x"][:, 0].tolist())
        self.arrived.release()
        if len(self.seen) <= self._held:
            assert self.go_on.wait(30)
        if 13 in arrays["x"]:
            raise TritonError("13 is refused", "INVALID_ARG")
        return {"y": arrays["x"] * 2, "rows": np.full(len(arrays["x"]), len(arrays["x"]))}


def x(*values: int, width: int = 1) -> dict[str, np.ndarray[Any, Any]]:
    """Make a call's arrays: a row for each value."""
    return {"x": np.repeat(np.array(values)[:, np.newaxis], width, axis=1)}


def call_together(model: Doubling, merger: Merger, calls: list[Arrays]) -> list[Future[Arrays]]:
    """Make two calls that the model holds, then these; let the model go on when all of them wait."""
    with ThreadPoolExecutor(len(calls) + 2) as threads:
        held = [threads.submit(merger, x(value)) for value in (1, 2)]
        for _ in held:
            assert model.arrived.acquire(timeout=30)
        made = []
        for place, each in enumerate(calls, start=1):
            made.append(threads.submit(merger, each))
            while len(merger._waiting) < place:
                assert not made[-1].done()
        model.go_on.set()
    assert [call.result()["y"].item() for call in held] == [2, 4]
    return made


def test_a_call_by_itself_goes_out_at_once() -> None:
    model = Doubling(held=0)
    merger = Merger(model, 8)
    assert merger(x(3, 4))["y"].tolist() == [[6], [8]]
    assert merger(x(5))["y"].tolist() == [[10]]
    assert model.seen == [[3, 4], [5]]


def test_calls_that_gather_share_a_request_and_get_their_own_rows() -> None:
    model = Doubling()
    answers = [call.result() for call in call_together(model, Merger(model, 8), [x(3), x(4, 5), x(6)])]
    assert [answer["y"].ravel().tolist() for answer in answers] == [[6], [8, 10], [12]]
    assert [answer["rows"].tolist() for answer in answers] == [[4], [4, 4], [4]]
    assert sorted(model.seen) == [[1], [2], [3, 4, 5, 6]]


def test_no_request_has_more_rows_than_the_model_takes() -> None:
    model = Doubling()
    answers = [
        call.result() for call in call_together(model, Merger(model, 3), [x(3, 4), x(5, 6), x(7), x(8, 9, 10, 11)])
    ]
    assert [answer["y"].ravel().tolist() for answer in answers] == [[6, 8], [10, 12], [14], [16, 18, 20, 22]]
    assert sorted(model.seen) == [[1], [2], [3, 4, 7], [5, 6], [8, 9, 10, 11]]


def test_calls_of_other_shapes_or_types_go_out_apart() -> None:
    model = Doubling()
    half = {"x": np.array([[0.5]])}
    answers = [call.result() for call in call_together(model, Merger(model, 8), [x(3), x(4, width=2), half, x(5)])]
    assert [answer["y"].tolist() for answer in answers] == [[[6]], [[8, 8]], [[1.0]], [[10]]]
    assert sorted(model.seen) == [[0.5], [1], [2], [3, 5], [4]]


def test_only_the_culprit_fails() -> None:
    model = Doubling()
    good, bad, fine = call_together(model, Merger(model, 8), [x(3), x(13), x(4)])
    assert (good.result()["y"].item(), fine.result()["y"].item()) == (6, 8)
    with pytest.raises(TritonError, match="13 is refused") as caught:
        bad.result()
    assert caught.value.code == "INVALID_ARG"


def test_many_calls_from_many_threads_all_get_their_answers() -> None:
    merger = Merger(Doubling(held=0), 8)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda value: merger(x(value))["y"].item(), range(100, 900)))
    assert found == [2 * value for value in range(100, 900)]
