"""The representation: spelling, lookup, and which steps of a graph are alive."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.errors import Where
from tritonforge.ir import Graph, InputRef, Model, ModelConfig, Repository, Signature, Step, StepRef, TensorSpec

X = TensorSpec("x", "FP32", (20, "seq"))
Y = TensorSpec("y", "BYTES", (), text=True)
SIGNATURE = Signature((X, TensorSpec("bonus", "INT64", (1,), optional=True)), (Y,), batched=True)


def step(*inputs: InputRef | StepRef, model: str = "scale") -> Step:
    return Step(model, SIGNATURE, tuple((f"x{index}", ref) for index, ref in enumerate(inputs)), Where())


def test_tensors_are_spelled_as_people_read_them() -> None:
    assert X.describe(batched=True) == "FP32[batch, 20, seq]"
    assert X.describe(batched=False) == "FP32[20, seq]"
    assert Y.describe(batched=True) == "BYTES[batch]"


def test_a_signature_is_spelled_with_optional_inputs() -> None:
    assert str(SIGNATURE) == "(x: FP32[batch, 20, seq], bonus: INT64[batch, 1] | None) -> (y: BYTES[batch])"


def test_tensors_are_found_by_name() -> None:
    assert SIGNATURE.input("x") is X
    assert SIGNATURE.input("y") is None
    assert SIGNATURE.output("y") is Y
    assert SIGNATURE.output("x") is None


def test_data_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        X.name = "z"  # type: ignore[misc]


def test_where_a_step_is_called_makes_no_difference() -> None:
    one, other = (Step("scale", SIGNATURE, (), Where("a.py", line)) for line in (1, 2))
    assert one == other
    assert hash(one) == hash(other)


def test_models_are_indexed_by_name() -> None:
    config = ModelConfig(name="scale", max_batch_size=0, inputs=(), outputs=())
    model = Model(config=config, signature=SIGNATURE, where=Where())
    assert Repository((model,)).by_name() == {"scale": model}


def test_steps_that_reach_an_output_are_alive() -> None:
    graph = Graph(
        (step(InputRef("x")), step(StepRef(0, "y")), step(StepRef(0, "y")), step(StepRef(2, "y"))),
        (("output", StepRef(1, "y")), ("x", InputRef("x"))),
    )
    assert graph.alive() == {0, 1}


def test_a_graph_without_outputs_has_no_steps_alive() -> None:
    assert Graph((step(InputRef("x")),), ()).alive() == set()


@given(st.lists(st.lists(st.integers(0, 8), max_size=3), max_size=9), st.sets(st.integers(0, 8), max_size=3))
def test_alive_is_the_closure_of_what_outputs_need(feeds: list[list[int]], ends: set[int]) -> None:
    feeds = [[earlier for earlier in inputs if earlier < index] for index, inputs in enumerate(feeds)]
    ends = {end for end in ends if end < len(feeds)}
    graph = Graph(
        tuple(step(*(StepRef(earlier, "y") for earlier in inputs)) for inputs in feeds),
        tuple((f"o{end}", StepRef(end, "y")) for end in sorted(ends)),
    )
    needed = set(ends)
    for index in reversed(range(len(feeds))):
        if index in needed:
            needed |= set(feeds[index])
    assert graph.alive() == needed
