"""Which inputs of a fused pipeline's steps are copies."""

from __future__ import annotations

import pytest

from tritonforge.errors import Where
from tritonforge.ir import Graph, InputRef, Reference, Signature, Step, StepRef
from tritonforge.lower.sharing import copied_inputs

X = InputRef("x")
HERE = Where()


def graph(*steps: tuple[str, dict[str, Reference]], **outputs: Reference) -> Graph:
    """A graph of steps, each a model's name and what its inputs are."""
    made = [Step(model, Signature((), (), batched=True), tuple(inputs.items()), HERE) for model, inputs in steps]
    return Graph(tuple(made), tuple(outputs.items()))


@pytest.mark.parametrize(
    ("traced", "copied"),
    [
        (graph(("a", {"x": X}), ("b", {"x": StepRef(0, "y")}), y=StepRef(1, "y")), {}),
        (graph(("a", {"x": X}), ("b", {"x": X}), y=StepRef(0, "y"), z=StepRef(1, "y")), {"a": {"x"}}),
        (graph(("a", {"x": X}), ("onnx", {"x": X}), y=StepRef(0, "y"), z=StepRef(1, "y")), {"a": {"x"}}),
        (graph(("onnx", {"x": X}), ("a", {"x": X}), y=StepRef(0, "y"), z=StepRef(1, "y")), {}),
        (graph(("a", {"x": X}), y=StepRef(0, "y"), same=X), {"a": {"x"}}),
        (graph(("a", {"l": X, "r": X}), y=StepRef(0, "y")), {"a": {"l"}}),
        (graph(("a", {"x": X}), ("a", {"x": X}), ("b", {"x": X}), y=StepRef(2, "y")), {"a": {"x"}}),
    ],
    ids=["chain", "fan-out", "before a graph", "after a graph", "an output", "twice in one", "three"],
)
def test_a_value_is_copied_for_all_python_readers_but_the_last(traced: Graph, copied: dict[str, set[str]]) -> None:
    assert copied_inputs(traced, {"a", "b"}, in_order=True) == copied


def test_steps_that_may_run_at_once_all_get_copies() -> None:
    traced = graph(("a", {"x": X}), ("b", {"x": X}), y=StepRef(0, "y"), z=StepRef(1, "y"))

    assert copied_inputs(traced, {"a", "b"}, in_order=False) == {"a": {"x"}, "b": {"x"}}
