"""What the client and the log are told where the user's code fails."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_utils
import tritonforge_runtime
from exotic_errors import exotic
from stub_utils import InferenceRequest, TritonError, code, message, tensor
from tritonforge_runtime.errors import TritonError as Refusal
from tritonforge_runtime.execution import Execution
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.messages import sendable
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


def test_a_file_is_named_as_it_is_in_a_locale_without_its_letters(tmp_path: Path) -> None:
    """Triton's Python has the locale C: it can't decode the names of such files, and keeps their bytes."""
    (tmp_path / "modèles-ü.py").write_text("def predict(x):\n    raise ValueError('no')\n")
    script = """
import importlib, os, sys
sys.path[:0] = sys.argv[1:]
import stub_utils
stub_utils.install()
from tritonforge_runtime.errors import LoadError
from tritonforge_runtime.failure import Failures
(name,) = (name for name in os.listdir(sys.argv[1]) if name.endswith(".py"))
failures = Failures("m", roots=[sys.argv[1]])
try:
    importlib.import_module(name[:-3]).predict(1)
except ValueError as error:
    texts = [failures.describe(error)[0], failures.own_traceback(error)]
    sys.stdout.buffer.write(str(LoadError("\\n".join(texts))).encode())
"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    paths = [tmp_path, Path(tritonforge_runtime.__file__).parents[1], Path(__file__).parent]
    run = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)], env=environment, capture_output=True, check=True
    )

    summary, *lines = run.stdout.decode().splitlines()

    assert summary == "ValueError: no  (modèles-ü.py:2 in predict)"
    assert f'  File "{tmp_path}/modèles-ü.py", line 2, in predict' in lines


def test_half_a_surrogate_pair_stays_one() -> None:
    assert sendable("\ud83d \udcff") == "\\ud83d \\udcff"


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
