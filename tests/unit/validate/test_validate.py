"""The checks of a repository: names, cycles, use, and edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from handmade import X, found, in_pipeline, model, signature, step

from tritonforge.ir import Graph, InputRef, Signature, StepRef, TensorSpec

PLAIN = signature({"x": (3,)}, {"y": (3,)})
TWO = signature({"a": (3,), "b": (3,)}, {"y": (3,)})
TAKES_OPTIONAL = signature({"x?": (3,)}, {"y": (3,)})
FP64 = replace(PLAIN, inputs=(TensorSpec("x", "FP64", (3,)),))


def test_a_good_pipeline_has_nothing_to_be_said_of_it() -> None:
    steps = [step("one", PLAIN, x=X), step("two", TWO, a=StepRef(0, "y"), b=X)]
    assert in_pipeline(PLAIN, steps, y=StepRef(1, "y")) == []


# --- names


@pytest.mark.parametrize("name", ["a", "A_1", "0", "fraud.v2", "fraud-v2", "_x"])
def test_names_that_triton_can_serve(name: str) -> None:
    assert found(model(name, PLAIN)) == []


@pytest.mark.parametrize("name", ["a/b", "a b", "größe", "-a", ".a", "..", "a:b", "a%20b", "a\n", "a?b"])
def test_names_that_triton_cannot_serve(name: str) -> None:
    (one,) = found(model(name, PLAIN))
    assert (one.code, one.message) == ("TF107", f'Triton can\'t serve a model named "{name}"')


def test_a_name_whose_metadata_no_client_gets_is_told() -> None:
    (one,) = found(model("stats", PLAIN))
    assert (one.code, one.severity) == ("TF107", "warning")
    assert "/v2/models/stats" in one.message


def test_a_name_that_two_models_have_is_told_at_the_later_one() -> None:
    (one,) = found(model("same", PLAIN, line=7), model("other", PLAIN), model("same", PLAIN, line=3))
    assert (one.code, one.where.line) == ("TF106", 7)
    assert one.message == 'a model named "same" is already defined at a.py:3'


def test_a_name_that_three_models_have_is_told_twice() -> None:
    assert [one.where.line for one in found(*(model("same", PLAIN, line=line) for line in (1, 2, 3)))] == [2, 3]


def test_tensors_of_one_side_have_names_of_their_own() -> None:
    twice = Signature((TensorSpec("x", "FP32", (1,)), TensorSpec("x", "FP32", (2,))), PLAIN.outputs, batched=True)
    assert [(one.code, one.where.subject) for one in found(model("m", twice))] == [("TF109", 'm, input "x"')] * 2


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00"])
def test_tensor_names_without_anything_to_print_are_refused(name: str) -> None:
    odd = Signature((TensorSpec(name, "FP32", (1,)),), PLAIN.outputs, batched=True)
    assert [one.code for one in found(model("m", odd))] == ["TF107"]


def test_an_input_and_an_output_of_a_model_may_have_one_name() -> None:
    assert found(model("m", signature({"x": (3,)}, {"x": (3,)}))) == []


# --- cycles


def calls(name: str, *others: str) -> object:
    steps = tuple(step(other, PLAIN, line=index + 2, x=X) for index, other in enumerate(others))
    return model(
        name, PLAIN, graph=Graph(steps, tuple((f"y{index}", StepRef(index, "y")) for index in range(len(others))))
    )


def cycles(*models: object) -> list[str]:
    return [one.message for one in found(*models) if one.code == "TF208"]  # type: ignore[arg-type]


def test_a_pipeline_that_calls_itself() -> None:
    assert cycles(calls("p", "p")) == ["a cycle: p → p"]


def test_a_ring_is_told_once() -> None:
    assert cycles(calls("a", "b"), calls("b", "c"), calls("c", "a")) == ["a cycle: a → b → c → a"]


def test_a_ring_that_is_entered_from_outside_names_the_ring_only() -> None:
    assert cycles(calls("a", "b"), calls("b", "c"), calls("c", "b")) == ["a cycle: b → c → b"]


def test_two_ways_to_one_model_are_no_cycle() -> None:
    assert cycles(calls("a", "b", "c"), calls("b", "d"), calls("c", "d"), calls("d", "leaf")) == []


def test_a_deep_chain_is_followed() -> None:
    models = [calls(f"p{index}", f"p{index + 1}") for index in range(300)]
    assert cycles(*models) == []


def test_many_ways_through_layers_do_not_multiply() -> None:
    layers = [calls(f"p{index}", *[f"p{index + 1}"] * 3) for index in range(60)]
    assert cycles(*layers) == []


# --- use


def test_an_input_that_nothing_takes() -> None:
    both = signature({"x": (3,), "z": (3,)}, {"y": (3,)})
    assert in_pipeline(both, [step("one", PLAIN, x=X)], y=StepRef(0, "y")) == [
        'TF206 p, input "z": no step that is served takes it'
    ]


def test_request_parameters_that_no_model_is_handed() -> None:
    told = replace(PLAIN, request_parameters="options")
    lost = 'TF206 p, argument "options": no step that is served takes it'
    assert in_pipeline(told, [step("one", PLAIN, x=X)], y=StepRef(0, "y")) == [lost]
    handed = replace(step("one", told, x=X), told=True)
    assert lost not in in_pipeline(told, [handed], y=StepRef(0, "y"))


def test_an_input_that_only_a_dead_step_takes() -> None:
    both = signature({"x": (3,), "z": (3,)}, {"y": (3,)})
    steps = [step("one", PLAIN, x=X), step("dead", PLAIN, x=InputRef("z"))]
    assert set(in_pipeline(both, steps, y=StepRef(0, "y"))) == {
        'TF206 p, input "z": no step that is served takes it',
        "TF215 p → dead: nothing uses its results; it isn't served",
    }


def test_a_result_that_nothing_uses_is_only_warned_of() -> None:
    steps = [step("one", PLAIN, x=X), step("dead", PLAIN, x=StepRef(0, "y")), step("deader", PLAIN, x=StepRef(1, "y"))]
    diagnostics = found(model("p", PLAIN, graph=Graph(tuple(steps), (("y", StepRef(0, "y")),))))
    assert [(one.code, one.severity, one.where.subject) for one in diagnostics] == [
        ("TF215", "warning", "p → dead"),
        ("TF215", "warning", "p → deader"),
    ]


def test_an_output_with_the_name_of_an_input_is_that_input_or_refused() -> None:
    back = signature({"x": (3,)}, {"x": (3,), "y": (3,)})
    graph = Graph((step("one", PLAIN, x=X),), (("x", X), ("y", StepRef(0, "y"))))
    (warned,) = found(model("p", back, graph=graph))
    assert (warned.code, warned.severity) == ("TF218", "warning")
    clash = signature({"x": (3,)}, {"x": (3,)})
    assert in_pipeline(clash, [step("one", PLAIN, x=X)], x=StepRef(0, "y")) == [
        'TF211 p, output "x": an input has the same name; in an ensemble both would be one tensor'
    ]


def test_a_pipeline_chains_at_least_one_model() -> None:
    assert "TF214 p: it calls no model" in in_pipeline(signature({"x": (3,)}, {"x": (3,)}), [], x=X)


# --- optional inputs


@pytest.mark.parametrize(
    ("own", "taker", "faults"),
    [
        (TAKES_OPTIONAL, TAKES_OPTIONAL, []),
        (PLAIN, TAKES_OPTIONAL, []),
        (PLAIN, PLAIN, []),
        (TAKES_OPTIONAL, PLAIN, ['TF212 p → one, input "x": p may leave "x" out, one always wants it']),
    ],
)
def test_what_may_be_left_out_goes_only_where_it_may_be_left_out(
    own: Signature, taker: Signature, faults: list[str]
) -> None:
    assert in_pipeline(own, [step("one", taker, x=X)], y=StepRef(0, "y")) == faults


def test_what_may_be_left_out_is_no_output() -> None:
    own = signature({"x?": (3,)}, {"y": (3,), "x": (3,)})
    (only,) = [
        each
        for each in in_pipeline(own, [step("one", TAKES_OPTIONAL, x=X)], y=StepRef(0, "y"), x=X)
        if not each.startswith("TF218")
    ]
    assert only == 'TF212 p, input "x": it is optional, and an output: where it isn\'t sent, there would be no output'


# --- edges


def test_data_types_must_be_equal() -> None:
    steps = [step("one", PLAIN, x=X), step("two", FP64, x=StepRef(0, "y"))]
    assert in_pipeline(PLAIN, steps, y=StepRef(1, "y")) == [
        'TF204 p → two, input "x": one gives FP32[batch, 3], two wants FP64[batch, 3]'
    ]


def test_an_output_must_be_what_is_annotated() -> None:
    own = replace(PLAIN, outputs=(TensorSpec("y", "INT64", (3,)),))
    assert in_pipeline(own, [step("one", PLAIN, x=X)], y=StepRef(0, "y")) == [
        'TF210 p, output "y": one gives FP32[batch, 3], p is annotated to return INT64[batch, 3]'
    ]


@pytest.mark.parametrize(
    ("own", "inner", "message"),
    [
        (True, False, "TF205 p → one: p has a batch dimension, one has none; Triton can't hand tensors"),
        (False, True, "TF205 p → one: one has a batch dimension, p has none; Triton can't hand tensors"),
    ],
)
def test_batched_and_unbatched_do_not_mix(own: bool, inner: bool, message: str) -> None:
    steps = [step("one", replace(PLAIN, batched=inner), x=X)]
    (only,) = in_pipeline(replace(PLAIN, batched=own), steps, y=StepRef(0, "y"))
    assert only.startswith(message)


def test_ranks_must_be_equal() -> None:
    steps = [step("one", signature({"x": (3, 1)}, {"y": (3,)}), x=X)]
    assert in_pipeline(PLAIN, steps, y=StepRef(0, "y")) == [
        'TF203 p → one, input "x": p gives FP32[batch, 3], one wants FP32[batch, 3, 1]'
    ]


def test_diagnostics_come_in_the_order_of_the_lines() -> None:
    steps = (step("b", FP64, line=9, x=X), step("a", FP64, line=4, x=X))
    graph = Graph(steps, (("y", StepRef(0, "y")), ("z", StepRef(1, "y"))))
    assert [one.where.line for one in found(model("p", PLAIN, graph=graph))] == [4, 9]
