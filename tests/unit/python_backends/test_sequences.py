"""Sequence models: requests of one correlation id share a state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stub_utils
from exotic_errors import exotic
from stub_utils import InferenceRequest, code, message, outputs, tensor
from tritonforge_runtime import states as module
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.sequences import Sequences
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import ENDS, STARTS, Wire

CONTROLS = [
    {"name": f"SEQUENCE_{kind}", "control": [{"kind": f"CONTROL_SEQUENCE_{kind}"}]}
    for kind in ("START", "END", "READY", "CORRID")
]


class Total:
    def start(self) -> list[float]:
        return []

    def __call__(self, state: list[float], x: np.ndarray) -> np.ndarray:
        if x[0, 0] < 0:
            raise ValueError("negative")
        state.append(float(x[0, 0]))
        return np.full_like(x, sum(state))


def running(target: object = None, idle_us: int = 10_000_000) -> Sequences:
    spec = parse_spec(
        stub_utils.arguments(
            [tensor("x", "FP32", [1])],
            [tensor("y", "FP32", [1])],
            sequence_batching={"max_sequence_idle_microseconds": idle_us, "control_input": CONTROLS},
        )["model_config"]
    )
    assert spec.sequence is not None
    return Sequences(spec, spec.sequence, Wire(spec, ()), target or Total(), Failures("total"))


def request(identity: int | str, value: float, flags: int = 0, *, ready: int = 1) -> InferenceRequest:
    controls = {f"SEQUENCE_{kind}": np.array([[0]], np.int32) for kind in ("START", "END", "CORRID")}
    return InferenceRequest(
        correlation_id=identity,
        flags=flags,
        SEQUENCE_READY=np.array([[ready]], np.int32),
        **controls,
        x=np.array([[value]], np.float32),
    )


def values(responses: list[Any]) -> list[float]:
    return [outputs(response)["y"].item() for response in responses]


def test_sequences_side_by_side_have_states_of_their_own() -> None:
    run = running()

    assert values(run([request(1, 1, STARTS), request("a", 10, STARTS)])) == [1, 10]
    assert values(run([request("a", 20), request(1, 2)])) == [30, 3]
    assert values(run([request(1, 3, ENDS)])) == [6]
    assert len(run) == 1


def test_a_sequence_of_one_request_leaves_nothing() -> None:
    run = running()

    assert values(run([request(1, 5, STARTS | ENDS)])) == [5]
    assert len(run) == 0


def test_a_sequence_that_starts_again_is_new() -> None:
    run = running()

    assert values(run([request(1, 1, STARTS)]) + run([request(1, 1, STARTS)])) == [1, 1]


def test_a_failed_request_keeps_the_state_and_the_last_one_drops_it_all_the_same() -> None:
    run = running()
    run([request(1, 1, STARTS)])

    failed, good = run([request(1, -1)]) + run([request(1, 2)])

    assert message(failed) == "ValueError: negative"
    assert values([good]) == [3]
    assert message(run([request(1, -1, ENDS)])[0]) == "ValueError: negative"
    assert len(run) == 0


def test_a_request_without_a_state_is_refused() -> None:
    (response,) = running()([request("a", 1)])

    assert message(response) == "sequence a has no state: its start failed, or it was idle"
    assert code(response) == stub_utils.TritonError.UNAVAILABLE


def test_a_start_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Total):
        def start(self) -> list[float]:
            raise OSError("no table")

    (response,) = running(Broken())([request(1, 1, STARTS)])

    assert message(response) == "OSError: no table"
    assert "Traceback" in capfd.readouterr().err


def test_an_empty_slot_is_passed_over() -> None:
    run = running()

    empty, full = run([request(0, 9, ready=0), request(2, 4, STARTS)])

    assert empty.output_tensors() == []
    assert values([full]) == [4]


def test_an_idle_state_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    run = running(idle_us=1_000_000)
    for moment, identity in ((0.0, 1), (2.0, 2)):
        now[0] = moment
        run([request(identity, 1, STARTS)])

    now[0] = 3.5
    run([request(3, 1, STARTS)])

    assert len(run) == 2
    assert run([request(1, 1)])[0].has_error()
    assert values(run([request(2, 1)])) == [2]


def test_an_idle_state_is_dropped_also_while_no_requests_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE", -0.9)  # it is kept for 0.1 s then
    freed = threading.Event()

    class State:
        def __del__(self) -> None:
            freed.set()

    class Kept(Total):
        def start(self) -> Any:
            return State()

        def __call__(self, state: Any, x: np.ndarray) -> np.ndarray:
            return x

    run = running(Kept(), idle_us=1_000_000)
    run([request(1, 1, STARTS)])

    assert freed.wait(10)
    assert len(run) == 0
    run.close()


def test_a_model_of_a_file_keeps_states(serve: Callable[..., Any]) -> None:
    source = """
from tritonforge import Sequence, model

@model(sequence=Sequence())
class Predict:
    def start(self):
        return [0]

    def __call__(self, state, x):
        state[0] += 1
        return x + state[0]
"""
    args = stub_utils.arguments(
        [tensor("x", "FP32", [1])], [tensor("y", "FP32", [1])], sequence_batching={"control_input": CONTROLS}
    )
    made = serve(source, args, attribute="Predict")
    type(made).sequence = True
    made.initialize(args)

    assert values(made.execute([request(1, 0, STARTS)]) + made.execute([request(1, 0)])) == [1, 2]
    made.finalize()


@exotic
def test_what_can_not_be_sent_fails_its_own_request(make: Callable[[], BaseException], said: str) -> None:
    class Failing(Total):
        def __call__(self, state: list[float], x: np.ndarray) -> np.ndarray:
            if 13 in x:
                raise make()
            return super().__call__(state, x)

    run = running(Failing())
    good, bad = run([request(1, 2, STARTS | ENDS), request(2, 13, STARTS | ENDS)])

    assert values([good]) == [2]
    assert message(bad) == said
