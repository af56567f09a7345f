"""Implicit state: what is kept between a sequence's requests, and how it gets to a graph and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_utils
import torch
import torchscript_module
from stub_utils import InferenceRequest, code, message, outputs, tensor
from tritonforge_runtime import LoadError, Ragged
from tritonforge_runtime import states as module
from tritonforge_runtime.errors import TritonError
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.implicit import StatefulExecution, with_states
from tritonforge_runtime.spec import ModelSpec, parse_spec
from tritonforge_runtime.states import States
from tritonforge_runtime.wire import ENDS, STARTS

READY = {"name": "READY", "control": [{"kind": "CONTROL_SEQUENCE_READY"}]}


def state(kind: str = "FP32", dims: tuple[int, ...] = (1,), *, initial: bool = False) -> dict[str, Any]:
    given = {"input_name": "before", "output_name": "after", "data_type": f"TYPE_{kind}", "dims": list(dims)}
    return {**given, "initial_state": [{"name": "first", "dims": [1], "zero_data": True}]} if initial else given


def spec_of(one: dict[str, Any], *, answered: bool = False, max_batch_size: int = 8) -> ModelSpec:
    results = [tensor("y", "FP32", [1]), *([tensor("after", "FP32", [1])] if answered else [])]
    args = stub_utils.arguments(
        [tensor("x", "FP32", [1])],
        results,
        max_batch_size=max_batch_size,
        sequence_batching={"control_input": [READY], "state": [one]},
    )
    return parse_spec(args["model_config"])


class Total:
    """A graph whose sum is its next state; it notes how many rows each call has."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, x: Any, before: Any) -> dict[str, Any]:
        self.calls.append(len(x))
        if (x < 0).any():
            raise ValueError("negative")
        return {"y": x + before, "after": x + before}


def running(function: Callable[..., Any], spec: ModelSpec | None = None, text: tuple[str, ...] = ()) -> Any:
    return StatefulExecution(spec or spec_of(state()), text, function, Failures("total"))


def request(identity: int | str, value: float, flags: int = 0, *, ready: int = 1, **more: Any) -> InferenceRequest:
    control = np.array([[ready]], np.int32)
    x = np.array([[value]], np.float32)
    return InferenceRequest(correlation_id=identity, flags=flags, READY=control, x=x, **more)


def values(responses: list[Any]) -> list[float]:
    return [outputs(response)["y"].item() for response in responses]


def test_a_state_is_taken_out_while_it_is_used() -> None:
    states = States(10)
    states.keep("a", 1)

    assert states.take("a") == 1
    assert len(states) == 0
    with pytest.raises(TritonError, match="sequence a has no state"):
        states.take("a")


def test_idle_states_are_dropped_and_used_ones_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    states = States(1)
    for moment, identity in ((0.0, 1), (0.0, 2), (2.0, 1)):
        now[0] = moment
        states.keep(identity, moment)

    now[0] = 3.5
    states.expire()
    states.close()

    assert len(states) == 1
    assert states.take(1) == 2.0


def test_requests_of_several_sequences_are_one_call() -> None:
    total = Total()
    run = running(total)

    assert values(run([request(1, 1, STARTS), request("a", 10, STARTS), request(3, 5, STARTS | ENDS)])) == [1, 10, 5]
    assert values(run([request("a", 20), request(1, 2)])) == [30, 3]
    assert values(run([request(1, 3, ENDS)])) == [6]
    assert total.calls == [3, 2, 1]
    assert len(run) == 1


def test_a_request_after_the_end_is_refused_and_a_start_is_new() -> None:
    run = running(Total())
    run([request(1, 1, STARTS | ENDS)])

    (refused,) = run([request(1, 1)])

    assert message(refused) == "sequence 1 has no state: its start failed, or it was idle"
    assert code(refused) == stub_utils.TritonError.UNAVAILABLE
    assert values(run([request(1, 4, STARTS)])) == [4]
    assert values(run([request(1, 5, STARTS)])) == [5]


def test_one_that_fails_keeps_its_state_and_harms_no_other() -> None:
    run = running(Total())
    run([request(1, 1, STARTS), request(2, 2, STARTS)])

    failed, good = run([request(1, -1), request(2, 2)])

    assert message(failed) == "ValueError: negative"
    assert values([good]) == [4]
    assert values(run([request(1, 5), request(2, 1)])) == [6, 5]


def test_tritons_initial_state_counts_only_where_there_is_one() -> None:
    handed = np.array([[50]], np.float32)
    given = running(Total(), spec_of(state(initial=True)))
    bare = running(Total())

    assert values(given([request(1, 1, STARTS, before=handed)])) == [51]
    assert values(given([request(1, 1, before=handed)])) == [52]
    assert values(given([request(2, 1, STARTS)])) == [1]
    assert values(bare([request(1, 1, STARTS, before=handed)])) == [1]


def test_a_kept_state_is_no_view_of_what_was_handed_over() -> None:
    run = running(lambda x, before: (x, before), spec_of(state(initial=True)))
    handed = np.array([[50]], np.float32)
    run([request(1, 1, STARTS, before=handed)])
    handed[:] = 0
    seen = []
    run._function = lambda x, before: (seen.append(before.item()), (x, before))[1]

    run([request(1, 1)])

    assert seen == [50]


def test_a_state_is_answered_only_where_it_is_an_output() -> None:
    plain, both = running(Total()), running(Total(), spec_of(state(), answered=True))

    assert set(outputs(plain([request(1, 1, STARTS)])[0])) == {"y"}
    assert outputs(both([request(1, 3, STARTS)])[0])["after"].item() == 3


def test_an_empty_slot_is_passed_over() -> None:
    empty, full = running(Total())([request(0, 9, ready=0), request(2, 4, STARTS)])

    assert empty.output_tensors() == []
    assert values([full]) == [4]


def test_a_model_without_a_batch_is_called_for_each_request() -> None:
    total = Total()
    run = running(total, spec_of(state(dims=(-1,)), max_batch_size=0))
    requests = [InferenceRequest(correlation_id=each, flags=STARTS, x=np.array([each], np.float32)) for each in (1, 2)]

    assert values(run(requests)) == [1, 2]
    assert total.calls == [1, 1]


def test_states_that_are_strings_come_back_as_text() -> None:
    seen: list[Any] = []

    def extend(x: Any, before: Any) -> Any:
        seen.append(before.item())
        return x, before + "é"

    run = running(extend, spec_of(state("STRING")), ("before",))

    for flags in (STARTS, 0, ENDS):
        outputs(run([request(1, 1, flags)])[0])

    assert seen == ["", "é", "éé"]


def test_a_request_that_cannot_be_read_leaves_the_state() -> None:
    seen: list[Any] = []
    run = running(
        lambda x, before: (seen.append(before.item()), (x, before + "a"))[1], spec_of(state("STRING")), ("before",)
    )
    run([request(1, 1, STARTS)])

    (failed,) = run([request(1, 1, before=np.array([[b"\xff"]], object))])
    run([request(1, 1)])

    assert "is not valid UTF-8" in message(failed)
    assert seen == ["", "a"]


def test_ragged_batches_with_states_are_refused() -> None:
    with pytest.raises(LoadError, match="implicit state and ragged batches, of which"):
        with_states(spec_of(state()), Ragged(frozenset("x"), (), {}))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_module_gets_its_state(tmp_path: Path) -> None:
    class Sum(torch.nn.Module):
        def forward(self, x: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x + before, x + before

    (tmp_path / "1").mkdir()
    torch.jit.script(Sum()).save(str(tmp_path / "1" / "model.pt"))
    args = stub_utils.arguments(
        [tensor("x", "FP32", [1])],
        [tensor("y", "FP32", [1])],
        folder=tmp_path,
        default_model_filename="",
        sequence_batching={"control_input": [READY], "state": [state()]},
    )
    spec = parse_spec(args["model_config"])

    loaded = torchscript_module.load(spec, args)
    run = running(loaded.function, spec)

    assert loaded.stateful
    assert values(run([request(1, 1, STARTS), request(2, 5, STARTS)]) + run([request(1, 2), request(2, 5)])) == [
        1,
        5,
        3,
        10,
    ]
