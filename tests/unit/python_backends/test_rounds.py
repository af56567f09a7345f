"""Bodies that run for several requests side by side: what they call goes out together, each gets its own answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from bodies import MOST_ROWS, Model, x
from tritonforge_runtime import rounds
from tritonforge_runtime.errors import TritonError
from tritonforge_runtime.rounds import Rounds
from tritonforge_runtime.workers import Workers

Run = Callable[[Callable[..., Any], Sequence[float]], list[Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a body for several values; give each's result, or its error. No body counts as busy, but where asked for."""
    if not request.node.name.startswith(("test_a_body_that_waits", "test_threads")):
        monkeypatch.setattr(rounds, "_PATIENCE_S", 30.0)
    workers = Workers("body")

    def each(body: Callable[..., Any], values: Sequence[float]) -> list[Any]:
        found: list[Any] = []
        for lane in Rounds(body, workers)([{"a": x(value)} for value in values]):
            try:
                found.append(np.asarray(lane.result()).item())
            except Exception as error:
                found.append(str(error))
        return found

    yield each
    workers.close()


def test_what_bodies_call_goes_out_as_one_request_for_each_step(run: Run) -> None:
    one, two = Model("one", 1), Model("two", 2)
    values = list(range(20, 40))

    def body(a: Any) -> Any:
        first = one.call(a)
        return two.call(first) if first > 30 else first

    assert run(body, values) == [value + 1 if value < 30 else value + 3 for value in values]

    assert [sorted(sent) for sent in one.sent] == [values]
    assert [sorted(sent) for sent in two.sent] == [[value + 1 for value in range(30, 40)]]


def test_bodies_that_loop_leave_when_they_are_done(run: Run) -> None:
    model = Model("model", 1)

    def body(a: Any) -> Any:
        while a < 10:
            a = model.call(a)
        return a

    assert run(body, [7, 12, 3, 9]) == [10, 12, 10, 10]
    assert [len(sent) for sent in model.sent] == [3, 2, 2, 1, 1, 1, 1]


def test_no_request_has_more_rows_than_the_model_takes(run: Run) -> None:
    model = Model("model", 1)
    values = [float(value) for value in range(100, 100 + 2 * MOST_ROWS + 5)]
    assert run(lambda a: model.call(a + 1), values) == [value + 2 for value in values]
    assert sorted(map(len, model.sent)) == [5, MOST_ROWS, MOST_ROWS]


def test_only_the_culprit_fails(run: Run) -> None:
    model = Model("model", 1)

    def body(a: Any) -> Any:
        if a == 5:
            raise ValueError("five")
        return model.call(model.call(a))

    assert run(body, [1, 13, 5, 12, 2]) == [3, "13 is refused", "five", "13 is refused", 4]


def test_a_body_catches_the_error_of_its_own_call(run: Run) -> None:
    model = Model("model", 1)

    def body(a: Any) -> Any:
        try:
            return model.call(a)
        except TritonError:
            return -a

    assert run(body, [1, 13, 2]) == [2, -13, 3]


def test_calls_of_several_models_are_under_way_at_once(run: Run) -> None:
    meeting = threading.Barrier(2)
    models = [Model(str(add), add, before=lambda: meeting.wait(20)) for add in (1, 2)]
    assert run(lambda a: models[int(a.item()) % 2].call(a), [2, 3, 4, 5]) == [3, 5, 5, 7]


def test_a_body_that_waits_for_something_else_does_not_hold_the_others_up(run: Run) -> None:
    """The first goes on only when a later one has made its call and got its answer."""
    told = threading.Event()
    model = Model("model", 1)

    def body(a: Any) -> Any:
        if a == 0:
            assert told.wait(20)
            return model.call(a)
        found = model.call(a)
        if found == 3:
            told.set()
        return found

    assert run(body, [0, 1, 2]) == [1, 2, 3]


def test_threads_of_a_bodys_own_wait_for_its_calls(run: Run) -> None:
    model = Model("model", 1)

    def body(a: Any) -> Any:
        made = model.call(a)
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(lambda: np.asarray(made) * 2).result()

    assert run(body, [1, 2, 3]) == [4, 6, 8]


def test_many_bodies_again_and_again(run: Run) -> None:
    models = [Model(str(add), add) for add in (1, 2, 3)]

    def body(a: Any) -> Any:
        for model in models:
            if a % 2 == 0:
                a = model.call(a)
            a = models[0].call(a + 0)
        return a

    def plain(a: float) -> float:
        for add in (1, 2, 3):
            a = a + add if a % 2 == 0 else a
            a += 1
        return a

    for _ in range(10):
        values = [value * 2.0 + 100 for value in range(30)]
        assert run(body, values) == [plain(value) for value in values]


def test_nothing_to_run_is_over_at_once(run: Run) -> None:
    assert run(lambda a: a, []) == []
