"""Decoupled models: a stream of responses for each request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import numpy as np
import pytest
import stub_utils
from exotic_errors import exotic
from stub_utils import InferenceRequest, TritonError, code, message, outputs, tensor
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.streams import Streams
from tritonforge_runtime.wire import Wire

PATIENCE_S = 10.0


def streams(function: Callable[..., Any]) -> Streams:
    args = stub_utils.arguments([tensor("n", "INT64", [1])], [tensor("y", "INT64", [1])], decoupled=True)
    spec = parse_spec(args["model_config"])
    return Streams(spec, Wire(spec, ()), function, Failures("fraud"))


def request(n: int, **more: Any) -> InferenceRequest:
    return InferenceRequest(n=np.array([[n]]), **more)


def finished(*requests: InferenceRequest) -> bool:
    """Wait until each stream's final flag is out."""
    deadline = monotonic() + PATIENCE_S
    wait = threading.Event()
    while not all(each.sender.finals for each in requests) and monotonic() < deadline:
        wait.wait(0.002)
    return all(each.sender.finals == 1 for each in requests)


def values(each: InferenceRequest) -> list[int]:
    return [outputs(response)["y"].item() for response in each.sender.responses]


def count(n: np.ndarray) -> Iterator[np.ndarray]:
    for index in range(n.item()):
        yield np.array([[index]])


def test_each_yield_is_a_response_and_the_end_comes_once() -> None:
    run = streams(count)
    requests = [request(3), request(0), request(2)]

    assert run(requests) is None

    assert finished(*requests)
    assert [values(each) for each in requests] == [[0, 1, 2], [], [0, 1]]


def test_an_endless_stream_holds_up_no_other() -> None:
    release = threading.Event()

    def predict(n: np.ndarray) -> Iterator[np.ndarray]:
        if n.item() == 1:
            release.wait(PATIENCE_S)
        yield n

    run = streams(predict)
    slow, quick = request(1), request(2)

    run([slow, quick])

    assert finished(quick)
    assert not slow.sender.finals
    release.set()
    assert finished(slow)


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_an_error_ends_the_stream_after_what_it_gave(kind: type[BaseException]) -> None:
    def predict(n: np.ndarray) -> Iterator[np.ndarray]:
        yield n
        raise kind("broken")

    each = request(7)
    streams(predict)([each])

    assert finished(each)
    first, last = each.sender.responses
    assert outputs(first)["y"].tolist() == [[7]]
    assert message(last) == f"{kind.__name__}: broken"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda n: iter([n.astype(np.int32)]), 'fraud: output "y" is int32[1, 1]; wanted INT64[batch, 1]'),
        (lambda n: n, "fraud: returned ndarray; wanted an iterator, as a generator function gives"),
    ],
)
def test_what_breaks_the_signature_ends_the_stream(result: Callable[..., Any], said: str) -> None:
    each = request(1)
    streams(result)([each])

    assert finished(each)
    assert message(each.sender.responses[-1]).startswith(said)


def test_a_cancelled_stream_is_closed() -> None:
    closed = threading.Event()
    gone = threading.Event()

    def predict(n: np.ndarray) -> Iterator[np.ndarray]:
        try:
            while True:
                yield n
                gone.set()
        finally:
            closed.set()

    each = request(1, is_cancelled=gone.is_set)
    streams(predict)([each])

    assert finished(each)
    assert closed.wait(PATIENCE_S)
    assert code(each.sender.responses[-1]) == TritonError.CANCELLED


def test_closing_ends_what_still_runs() -> None:
    started = threading.Event()

    def predict(n: np.ndarray) -> Iterator[np.ndarray]:
        while True:
            yield n
            started.set()

    each = request(1)
    run = streams(predict)
    run([each])
    assert started.wait(PATIENCE_S)

    run.close()

    assert each.sender.finals == 1
    assert code(each.sender.responses[-1]) == TritonError.UNAVAILABLE


@exotic
def test_a_stream_tells_what_can_not_be_sent(make: Callable[[], BaseException], said: str) -> None:
    def predict(n: np.ndarray) -> Iterator[np.ndarray]:
        yield n
        raise make()

    each = request(1)
    streams(predict)([each])

    assert finished(each)
    assert message(each.sender.responses[-1]) == said


def test_a_stream_for_which_there_is_no_thread_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    run = streams(count)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        run([refused := request(1)])
    run([served := request(1)])

    assert finished(refused, served)
    assert message(refused.sender.responses[0]) == "RuntimeError: can't start new thread"
    assert values(served) == [0]
