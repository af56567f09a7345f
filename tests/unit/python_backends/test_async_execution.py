"""Executions of async models: `execute` returns at once, and calls are under way together."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic
from typing import Any

import numpy as np
import pytest
import stub_utils
from exotic_errors import exotic
from stub_utils import InferenceRequest, TritonError, code, message, outputs, tensor
from tritonforge_runtime.async_execution import AsyncExecution, AsyncStreams
from tritonforge_runtime.awaitables import is_async
from tritonforge_runtime.errors import TritonError as Refusal
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.padding import PaddedDim, Padding
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import Wire

PATIENCE_S = 10.0


@pytest.fixture
def run() -> Iterator[Callable[..., Any]]:
    """Make an execution, which is closed at the end."""
    made: list[Any] = []

    def make(function: Callable[..., Any], *, stream: bool = False, **more: Any) -> Any:
        dims = [-1] if "padding" in more else [1]
        args = stub_utils.arguments([tensor("x", "FP32", dims)], [tensor("y", "FP32", dims)], decoupled=stream)
        spec = parse_spec(args["model_config"])
        kind = AsyncStreams if stream else AsyncExecution
        made.append(kind(spec, Wire(spec, ()), function, Failures("fraud"), **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def request(*values: float) -> InferenceRequest:
    return InferenceRequest(x=np.array([values], np.float32))


def answer(each: InferenceRequest) -> Any:
    """Wait for the one response."""
    assert each.sender.finished.wait(PATIENCE_S)
    (response,) = each.sender.responses
    return response


def values(each: InferenceRequest) -> list[float]:
    return outputs(answer(each))["y"].ravel().tolist()


def test_executions_overlap(run: Callable[..., Any]) -> None:
    """The first call waits for what only the second brings about."""
    second = asyncio.Event()

    async def predict(x: np.ndarray) -> np.ndarray:
        if x[0, 0] == 1:
            await second.wait()
        second.set()
        return x * 2

    execution = run(predict)
    one, other = request(1), request(2)

    assert execution([one]) is None
    assert execution([other]) is None

    assert (values(one), values(other)) == ([2], [4])


def test_requests_that_come_together_share_a_call(run: Callable[..., Any]) -> None:
    shapes = []

    async def predict(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return x + 1

    requests = [request(1), request(2), request(3)]
    run(predict)(requests)

    assert [values(each) for each in requests] == [[2], [3], [4]]
    assert shapes == [(3, 1)]


def test_where_it_is_not_stacked_each_has_its_own(run: Callable[..., Any]) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        return np.full_like(x, len(x))

    requests = [request(1), request(2)]
    run(predict, stacked=False)(requests)

    assert [values(each) for each in requests] == [[1], [1]]


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_one_bad_request_fails_alone(run: Callable[..., Any], kind: type[BaseException]) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        await asyncio.sleep(0)
        if (x < 0).any():
            raise kind("negative")
        return x

    good, bad, also = request(1), request(-1), request(3)
    run(predict)([good, bad, also])

    assert (values(good), values(also)) == ([1], [3])
    assert message(answer(bad)) == f"{kind.__name__}: negative"


def test_a_refusal_keeps_its_code(run: Callable[..., Any]) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        raise Refusal("no such customer", code="NOT_FOUND")

    bad = request(1)
    run(predict)([bad])

    assert code(answer(bad)) == TritonError.NOT_FOUND


def test_a_failure_that_only_stacked_requests_have_is_logged(
    run: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        assert len(x) == 1
        return x

    requests = [request(1), request(2)]
    run(predict)(requests)

    assert [values(each) for each in requests] == [[1], [2]]
    logged, deadline = "", monotonic() + PATIENCE_S  # the answers don't wait for it
    while "failed for 2 requests stacked" not in logged and monotonic() < deadline:
        logged += capfd.readouterr().err
    assert "failed for 2 requests stacked" in logged


def test_requests_are_padded_and_cut_back(run: Callable[..., Any]) -> None:
    seen = []

    async def predict(x: np.ndarray, n_mask: np.ndarray) -> np.ndarray:
        seen.append((x.shape, n_mask.sum(axis=1).tolist()))
        return x * 2

    padding = Padding([PaddedDim("n", 0, (), [("x", 1)], [("y", 1)], mask=True)], ["x"], ["y"])
    requests = [request(1), request(1, 2, 3)]
    run(predict, padding=padding)(requests)

    assert [values(each) for each in requests] == [[2], [2, 4, 6]]
    assert seen == [((2, 3), [1, 3])]


def test_what_is_under_way_at_the_end_is_told(run: Callable[..., Any]) -> None:
    started = threading.Event()

    async def predict(x: np.ndarray) -> np.ndarray:
        started.set()
        await asyncio.sleep(3600)
        return x

    execution, hanging = run(predict), request(1)
    execution([hanging])
    assert started.wait(PATIENCE_S)
    execution.close()

    assert code(answer(hanging)) == TritonError.UNAVAILABLE


def test_streams_run_at_once(run: Callable[..., Any]) -> None:
    second = asyncio.Event()

    async def predict(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        yield x
        if x[0, 0] == 1:
            await second.wait()
        second.set()
        yield x * 10

    one, other = request(1), request(2)
    run(predict, stream=True)([one, other])

    for each, wanted in ((one, [1, 10]), (other, [2, 20])):
        assert each.sender.finished.wait(PATIENCE_S)
        assert [outputs(response)["y"].item() for response in each.sender.responses] == wanted
        assert each.sender.finals == 1


def test_a_stream_that_fails_ends_after_what_it_gave(run: Callable[..., Any]) -> None:
    closed = threading.Event()

    async def predict(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        try:
            yield x
            raise ValueError("broken")
        finally:
            closed.set()

    each = request(1)
    run(predict, stream=True)([each])

    assert each.sender.finished.wait(PATIENCE_S)
    good, bad = each.sender.responses
    assert outputs(good)["y"].item() == 1
    assert message(bad) == "ValueError: broken"
    assert closed.is_set()


def test_a_cancelled_stream_is_closed(run: Callable[..., Any]) -> None:
    closed = threading.Event()

    async def predict(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        try:
            while True:
                await asyncio.sleep(0.001)
                yield x
        finally:
            closed.set()

    each = InferenceRequest(x=np.ones((1, 1), np.float32), is_cancelled=lambda: True)
    run(predict, stream=True)([each])

    assert each.sender.finished.wait(PATIENCE_S)
    assert code(each.sender.responses[-1]) == TritonError.CANCELLED
    assert closed.is_set()


@pytest.mark.parametrize("problem", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_what_a_model_raises_is_told_as_it_is(run: Callable[..., Any], problem: type[BaseException]) -> None:
    """A cancellation of the model's own making is no unloading; and the loop goes on."""

    async def fail() -> None:
        raise problem("stop")

    async def predict(x: np.ndarray) -> np.ndarray:
        if 13 in x:
            await asyncio.gather(fail())
        return x

    serve = run(predict)
    requests = [request(1), request(13)]
    serve(requests)
    later = request(3)
    answer(requests[1])
    serve([later])

    assert values(requests[0]) == [1]
    lost = problem is asyncio.CancelledError and sys.version_info < (3, 11)  # `gather` makes a new one there
    assert message(answer(requests[1])).startswith(problem.__name__ if lost else f"{problem.__name__}: stop")
    assert code(answer(requests[1])) == TritonError.INTERNAL
    assert values(later) == [3]


def test_a_stream_that_raises_a_cancellation_is_told_so(run: Callable[..., Any]) -> None:
    async def predict(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        yield x
        raise asyncio.CancelledError("stop")

    each = request(1)
    run(predict, stream=True)([each])

    assert each.sender.finished.wait(PATIENCE_S)
    assert message(each.sender.responses[-1]).startswith("CancelledError: stop")


def test_what_is_async() -> None:
    class Called:
        async def __call__(self, x: Any) -> Any:
            return x

    async def function(x: Any) -> Any:
        return x

    assert is_async(Called)
    assert is_async(Called())
    assert is_async(function)
    assert not is_async(len)
    assert not is_async(lambda x: x)


def test_a_model_of_a_file_is_awaited(serve: Callable[..., Any]) -> None:
    source = """
import asyncio
from tritonforge import model

@model
async def predict(x):
    await asyncio.sleep(0)
    return x + 1
"""
    made = serve(source, stub_utils.arguments([tensor("x", "FP32", [1])], [tensor("y", "FP32", [1])]))
    each = request(1)

    assert made.execute([each]) is None
    assert values(each) == [2]
    made.finalize()
    assert "coroutines" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}
    assert "fraud" in sys.modules


def test_a_model_that_stops_its_loop_is_answered_and_so_are_later_ones(run: Callable[..., Any]) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return x * 2

    execution = run(predict)
    for value in (1, 2):
        execution([asked := request(value)])
        assert values(asked) == [value * 2]


@exotic
def test_what_can_not_be_sent_is_told_all_the_same(
    run: Callable[..., Any], make: Callable[[], BaseException], said: str
) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        if 13 in x:
            raise make()
        return x

    good, bad = request(1), request(13)
    run(predict)([good, bad])

    assert values(good) == [1]
    assert message(answer(bad)) == said


@exotic
def test_a_stream_tells_what_can_not_be_sent(
    run: Callable[..., Any], make: Callable[[], BaseException], said: str
) -> None:
    async def predict(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        yield x
        raise make()

    each = request(1)
    run(predict, stream=True)([each])

    assert each.sender.finished.wait(PATIENCE_S)
    assert message(each.sender.responses[-1]) == said


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_cancelled_before_it_begins_is_answered(run: Callable[..., Any], *, stream: bool) -> None:
    began = threading.Event()
    others = threading.Event()

    def cancel_others() -> None:
        began.set()
        others.wait(PATIENCE_S)  # they are in the loop's queue
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])

    async def predict(x: np.ndarray) -> np.ndarray:
        cancel_others()
        return x

    async def predict_stream(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        cancel_others()
        yield x

    execution = run(predict_stream if stream else predict, stream=stream)
    execution([request(1)])
    assert began.wait(PATIENCE_S)
    later = [request(2), request(3)]
    for each in later:
        execution([each])
    others.set()

    for each in later:
        assert each.sender.finished.wait(PATIENCE_S)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_can_not_be_started_is_answered(run: Callable[..., Any], *, stream: bool) -> None:
    async def predict(x: np.ndarray) -> np.ndarray:
        return x

    execution = run(predict, stream=stream)
    execution.close()
    execution([each := request(1)])

    assert message(answer(each)) == "RuntimeError: Event loop is closed"
