"""Sequence models called here, and what Triton is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32
from pydantic import ValidationError

from tritonforge import Batching, Sequence, model
from tritonforge.errors import InvalidTensor
from tritonforge.ir import Code, DirectStrategy, ModelConfig, OldestStrategy, Shim
from tritonforge.lower.python import lower_function

ONE = np.ones((1, 1), np.float32)


class Totals:
    def start(self) -> list[float]:
        return []

    def __call__(self, seen: list[float], x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
        seen.append(float(x.sum()))
        return np.full_like(x, sum(seen))


total = model(sequence=Sequence())(Totals)


def config(**settings: Any) -> ModelConfig:
    return lower_function(model(**settings)(Totals), Code(Shim("m", "", ()), ())).config


def test_the_state_is_no_input() -> None:
    assert [spec.name for spec in total.signature.inputs] == ["x"]
    assert total.signature.sequence


def test_a_begun_sequence_keeps_its_state_and_a_plain_call_is_a_sequence_of_one() -> None:
    one, other = total.begin(), total.begin()

    assert [float(steps(x=ONE).item()) for steps in (one, one, other, total, one)] == [1, 2, 1, 1, 3]


def test_calls_of_a_sequence_are_checked() -> None:
    with pytest.raises(InvalidTensor, match='total: argument "x" is FP64'):
        total.begin()(x=ONE.astype(float))


def test_a_model_without_a_state_cannot_begin() -> None:
    @model
    def plain(x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
        return x

    with pytest.raises(TypeError, match="plain keeps no state: it is no sequence model"):
        plain.begin()


def test_triton_is_told_of_the_strategy_and_the_controls() -> None:
    lowered = config(sequence=Sequence(max_idle_us=5), batching=Batching(max_queue_delay_us=7))

    assert lowered.dynamic_batching is None
    assert lowered.sequence_batching is not None
    assert lowered.sequence_batching.oldest == OldestStrategy(1024, (), 7)
    assert lowered.sequence_batching.max_sequence_idle_us == 5
    assert [control.name for control in lowered.sequence_batching.control_inputs] == [
        "SEQUENCE_START",
        "SEQUENCE_END",
        "SEQUENCE_READY",
    ]
    direct = config(sequence=Sequence(strategy="direct")).sequence_batching
    assert direct is not None
    assert (direct.direct, direct.oldest) == (DirectStrategy(), None)


@pytest.mark.parametrize("wrong", [{"strategy": "newest"}, {"max_idle_us": 0}, {"max_sequences": 0}, {"slots": 1}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sequence(**wrong)


def test_the_shim_says_so(tmp_path: Path) -> None:
    code = lower_function(total, Code(Shim("m", "", ()), ())).code

    assert code is not None
    assert code.shim.sequence
