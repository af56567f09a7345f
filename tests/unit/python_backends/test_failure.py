"""What the client and the log are told where the user's code fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stub_utils
from exotic_errors import exotic
from stub_utils import InferenceRequest, TritonError, code, message, tensor
from tritonforge_runtime.errors import TritonError as Refusal
from tritonforge_runtime.execution import Execution
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import Wire


def execution(function: Callable[..., Any], **more: Any) -> Execution:
    arguments = stub_utils.arguments([tensor("x", "FP32", [2])], [tensor("y", "FP32", [2])])
    spec = parse_spec(arguments["model_config"])
    return Execution(spec, Wire(spec, ()), function, Failures("fraud", **more))


def request(value: float = 1) -> InferenceRequest:
    return InferenceRequest(x=np.full((1, 2), value, np.float32))


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_is_no_exception_fails_its_own_request(problem: type[BaseException]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        if 13 in x:
            raise problem
        return x

    responses = execution(predict)([request(one) for one in (1, 13)])

    assert [response.has_error() for response in responses] == [False, True]
    assert message(responses[1]).startswith(problem.__name__)


@exotic
def test_what_can_not_be_sent_is_told_all_the_same(make: Callable[[], BaseException], said: str) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        if 13 in x:
            raise make()
        return x

    run = execution(predict)
    responses = run([request(value) for value in (1, 13)])
    (alone,) = run([request(13)])

    assert [response.has_error() for response in responses] == [False, True]
    assert message(responses[1]) == message(alone) == said
    assert code(alone) == TritonError.INTERNAL


def test_what_is_raised_can_forge_no_line_of_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        raise ValueError("\x1b[2Jall is well\r")

    execution(predict)([request()])

    assert "\\x1b[2Jall is well\\x0d\n" in capfd.readouterr().err


def test_a_refusal_without_a_message_has_its_place() -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        raise Refusal("", code="NOT_FOUND")

    (response,) = execution(predict, roots=[__file__.rpartition("/")[0]])([request()])

    place = f"test_failure.py:{predict.__code__.co_firstlineno + 1} in predict"
    assert message(response) == f"the model raised TritonError without a message  ({place})"
    assert code(response) == TritonError.NOT_FOUND


def test_a_closed_log_fails_no_other_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        monkeypatch.setattr(sys, "stderr", None)
        raise ValueError("told")

    (response,) = execution(predict)([request()])

    assert message(response) == "ValueError: told"


@pytest.mark.parametrize("problem", [Refusal, ValueError])
def test_a_long_message_is_cut_and_logged_whole(problem: type[Exception], capfd: pytest.CaptureFixture[str]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        raise problem("y" * 12_000)

    (response,) = execution(predict)([request()])

    assert len(message(response)) < 4_200
    assert "12,000 characters; the server's log has all" in message(response)
    assert "y" * 12_000 in capfd.readouterr().err
