"""Calls of served models that a body makes: when and where they are sent, and who is told of their errors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bodies
import numpy as np
import pytest
from bodies import Model, x
from tritonforge_runtime.errors import TritonError
from tritonforge_runtime.parts import FunctionPart
from tritonforge_runtime.remote import Body


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
    [((), {}, "nothing"), ((), {"z": x(1)}, "z"), ((x(1), x(2)), {}, "2 arguments"), ((None,), {}, "1 arguments")],
)
def test_a_call_with_other_arguments_says_what_the_model_takes(args: Any, kwargs: Any, found: str) -> None:
    model = bodies.Model("model", 1)
    with pytest.raises(TypeError, match=f"^model takes x; got {found}$"):
        run(lambda: model.call(*args, **kwargs))
