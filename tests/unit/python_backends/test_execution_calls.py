"""Calls of served models that a body makes: when and where they are sent, and who is told of their errors."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bodies
import numpy as np
import pytest
from bodies import Model, x
from tritonforge_runtime.errors import InvalidArgument, TritonError
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.inner import PipelinePart
from tritonforge_runtime.parts import FunctionPart
from tritonforge_runtime.remote import Body, Served, awaiting, calling
from tritonforge_runtime.spec import ModelSpec, TensorSpec


def run(body: Any, **inputs: Any) -> Any:
    """Run a body by itself."""
    return Body(body)(**inputs)


def test_calls_that_depend_on_each_other_are_sent_in_the_bodys_own_thread() -> None:
    one, two = Model("one", 1), Model("two", 2)

    assert run(lambda a: two.call(one.call(a)), a=x(1)).tolist() == [[4]]

    assert {*one.threads, *two.threads} == {threading.get_ident()}


def test_calls_that_do_not_are_under_way_at_once() -> None:
    meeting = threading.Barrier(3)  # of calls that wait for each other
    models = [Model(str(add), add, before=lambda: meeting.wait(20)) for add in range(3)]
    found = run(lambda a: tuple(model.call(a) for model in models), a=x(5))
    assert [array.item() for array in found] == [5, 6, 7]


def test_a_chain_goes_on_while_another_is_under_way() -> None:
    """The slow call ends only when both of the other chain have been sent."""
    last = threading.Event()
    slow = Model("slow", 1, before=lambda: last.wait(20))
    first, second = Model("first", 2), Model("second", 3, before=last.set)
    left, right = run(lambda a: (slow.call(a), second.call(first.call(a))), a=x(1))
    assert (left.item(), right.item(), last.is_set()) == (2, 6, True)


def test_a_call_whose_result_is_not_used_is_made() -> None:
    used, unused = Model("used", 1), Model("unused", 2)

    def body(a: Any) -> Any:
        unused.call(a)
        return used.call(a)

    assert run(body, a=x(1)).item() == 2
    assert unused.sent == [[1]]
    with pytest.raises(TritonError, match="13 is refused"):
        run(lambda a: (unused.call(x(13)), used.call(a))[1], a=x(1))


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    model = Model("model", 1)
    with pytest.raises(TritonError, match="13 is refused"):
        run(lambda a: model.call(model.call(a)), a=x(13))
    assert model.sent == [[13]]


def test_a_try_around_a_call_catches_its_error_as_it_does_in_eager_python() -> None:
    model = Model("model", 1)

    part = FunctionPart(model.call)

    def inner(a: Any) -> Any:
        return part(a)

    def body(a: Any) -> Any:
        try:
            return inner(a)
        except TritonError:
            return a * 100

    assert run(body, a=x(13)).item() == 1300
    assert run(body, a=x(1)).item() == 2


def test_threads_of_a_bodys_own_make_calls_and_wait_for_them() -> None:
    model = Model("model", 1)

    def body(a: Any) -> Any:
        first = model.call(a)
        with ThreadPoolExecutor(2) as threads:
            waited = threads.submit(lambda: np.asarray(first) + 10)
            made = threads.submit(lambda: model.call(a))
            return waited.result(), made.result()

    waited, made = run(body, a=x(1))
    assert (waited.item(), made.item()) == (12, 2)


def test_a_result_kept_from_another_run_can_be_handed_on() -> None:
    model = Model("model", 1)
    kept: list[Any] = []

    def body(a: Any) -> Any:
        kept.append(model.call(a))
        return model.call(kept[0])

    assert run(body, a=x(1)).item() == 3
    assert run(body, a=x(5)).item() == 3


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [((), {}, "nothing"), ((), {"z": x(1)}, "z"), ((x(1), x(2)), {}, "2 arguments"), ((None,), {}, "1 argument")],
)
def test_a_call_with_other_arguments_says_what_the_model_takes(args: Any, kwargs: Any, found: str) -> None:
    model = bodies.Model("model", 1)
    with pytest.raises(InvalidArgument, match=f"^model takes x; got {found}$"):
        run(lambda: model.call(*args, **kwargs))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda a: a.tolist(), r'model: argument "x" is a list; wanted an np\.ndarray of FP64\[batch, 1\]'),
        (lambda a: a.astype(np.float32), r'model: argument "x" is float32\[1, 1\]; wanted FP64\[batch, 1\]'),
        (lambda a: a[:, 0], r'model: argument "x" has shape \[1\]; wanted FP64\[batch, 1\]'),
    ],
)
def test_a_wrong_argument_is_told_at_the_line_of_the_call(wrong: Any, said: str) -> None:
    model = Model("model", 1)

    def body(a: Any) -> Any:
        return model.call(wrong(a))

    with pytest.raises(ValueError, match=f"^{said}") as caught:  # which eager calls raise, too
        run(body, a=x(1))

    assert not model.sent
    told, code = Failures("last", roots=[__file__.rpartition("/")[0]]).describe(caught.value)
    assert told.endswith(f"  (test_execution_calls.py:{body.__code__.co_firstlineno + 1} in body)")
    assert code == "INTERNAL"


def test_a_wrong_argument_that_comes_from_a_call_is_told_too() -> None:
    narrow, model = Model("narrow", 1), Model("model", 1)
    wide = ModelSpec("wide", True, False, (TensorSpec("x", "FP64", (1,)),), (TensorSpec("y", "FP64", (2,)),))
    twice = calling(Served(wide, lambda arrays: {"y": np.repeat(arrays["x"], 2, axis=1)}), ["y"])

    with pytest.raises(InvalidArgument, match=r'model: argument "x" has shape \[1, 2\]'):
        run(lambda a: model.call(twice(narrow.call(a))), a=x(1))


def test_what_a_body_writes_after_a_call_is_not_what_it_called_with() -> None:
    """An own array, a result that goes on before it is looked at, and one that was looked at."""
    one, two = Model("one", 1), Model("two", 2)

    def body(a: Any) -> Any:
        first = one.call(a)
        a += 100
        second = two.call(first)
        first += 1000
        third = two.call(first)
        first[:] = 0
        return a, first, second, third

    assert [array.item() for array in run(body, a=x(1))] == [101, 0, 4, 1004]


def test_a_call_without_rows_has_results_without_rows() -> None:
    model = Model("model", 1)
    found = run(lambda a: model.call(model.call(a[a[:, 0] > 5])), a=x(1, 2))
    assert (found.dtype, found.shape, model.sent) == (np.dtype("float64"), (0, 1), [])


def test_a_call_with_more_rows_than_the_model_takes_goes_out_in_slices_at_once() -> None:
    meeting = threading.Barrier(3)
    model = Model("model", 1, takes=4, before=lambda: meeting.wait(20))
    values = list(range(20, 29))

    assert run(model.call, x=x(*values))[:, 0].tolist() == [value + 1 for value in values]

    assert sorted(model.sent) == [values[:4], values[4:8], values[8:]]


def test_awaited_calls_are_sliced_and_checked_too() -> None:
    model = Model("model", 1, takes=2)
    call = awaiting(model.served, ["y"])

    assert asyncio.run(call(x(1, 2, 3)))[:, 0].tolist() == [2, 3, 4]
    assert asyncio.run(call(x())).shape == (0, 1)
    with pytest.raises(InvalidArgument, match='argument "x" is a list'):
        asyncio.run(call([1.0]))


def test_a_try_around_a_pipeline_inside_catches_the_error_of_its_call() -> None:
    model = Model("model", 1)

    @PipelinePart
    def inner(a: Any) -> Any:
        return model.call(a)

    def body(a: Any) -> Any:
        try:
            return inner(a)
        except TritonError:
            return a * 100

    assert run(body, a=x(13)).item() == 1300
