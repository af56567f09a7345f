"""Pipelines traced on symbols: the graph of their calls, and what a body must not do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from jaxtyping import Float32, Int64

from tritonforge import model, pipeline
from tritonforge.define import tracing
from tritonforge.errors import DiagnosticError
from tritonforge.ir import InputRef, Reference, StepRef


class Scores(NamedTuple):
    label: Int64[np.ndarray, "batch"]
    score: Float32[np.ndarray, "batch 3"]


class Passed(NamedTuple):
    scaled: Float32[np.ndarray, "batch 3"]
    x: Float32[np.ndarray, "batch 3"]
    again: Float32[np.ndarray, "batch 3"]


@model
def scale(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return x * 2


@model
def add(
    left: Float32[np.ndarray, "batch 3"], right: Float32[np.ndarray, "batch 3"] | None = None
) -> Float32[np.ndarray, "batch 3"]:
    return left if right is None else left + right


@model
def classify(x: Float32[np.ndarray, "batch 3"]) -> Scores:
    return Scores(x.argmax(axis=1), x)


@pipeline
def chain(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return scale(scale(x))


@pipeline
def diamond(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    scaled = scale(x)
    return add(right=scale(scaled), left=scaled)


@pipeline
def unpacked(x: Float32[np.ndarray, "batch 3"]) -> Scores:
    label, score = classify(x)
    return Scores(label, scale(score))


@pipeline
def attributes(x: Float32[np.ndarray, "batch 3"]) -> Scores:
    result = classify(scale(x))
    return Scores(score=result.score, label=result.label)


@pipeline
def whole(x: Float32[np.ndarray, "batch 3"]) -> Scores:
    return classify(x)


@pipeline
def passed(x: Float32[np.ndarray, "batch 3"]) -> Passed:
    scaled = scale(x)
    return Passed(scaled, x, scaled)


@pipeline
def nested(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return add(chain(x), diamond(x=x))


@pipeline
def optional(
    x: Float32[np.ndarray, "batch 3"], bonus: Float32[np.ndarray, "batch 3"] | None = None
) -> Float32[np.ndarray, "batch 3"]:
    return add(add(x), bonus)


@pipeline
def looped(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    for _ in range(3):
        x = scale(x)
    return x


def steps(traced: tracing.Traced) -> list[tuple[str, dict[str, Reference]]]:
    return [(step.model, dict(step.inputs)) for step in traced.graph.steps]


def out(step: int, name: str = "output") -> StepRef:
    return StepRef(step, name)


X = InputRef("x")


@pytest.mark.parametrize(
    ("traced", "wanted", "outputs"),
    [
        (chain, [("scale", {"x": X}), ("scale", {"x": out(0)})], {"output": out(1)}),
        (
            diamond,
            [("scale", {"x": X}), ("scale", {"x": out(0)}), ("add", {"left": out(0), "right": out(1)})],
            {"output": out(2)},
        ),
        (
            unpacked,
            [("classify", {"x": X}), ("scale", {"x": out(0, "score")})],
            {"label": out(0, "label"), "score": out(1)},
        ),
        (
            attributes,
            [("scale", {"x": X}), ("classify", {"x": out(0)})],
            {"label": out(1, "label"), "score": out(1, "score")},
        ),
        (whole, [("classify", {"x": X})], {"label": out(0, "label"), "score": out(0, "score")}),
        (passed, [("scale", {"x": X})], {"scaled": out(0), "x": X, "again": out(0)}),
        (
            nested,
            [("chain", {"x": X}), ("diamond", {"x": X}), ("add", {"left": out(0), "right": out(1)})],
            {"output": out(2)},
        ),
        (
            optional,
            [("add", {"left": X}), ("add", {"left": out(0), "right": InputRef("bonus")})],
            {"output": out(1)},
        ),
        (
            looped,
            [("scale", {"x": X}), ("scale", {"x": out(0)}), ("scale", {"x": out(1)})],
            {"output": out(2)},
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_call_is_a_step(traced: Any, wanted: Any, outputs: dict[str, Reference]) -> None:
    result = traced.trace()
    assert steps(result) == wanted
    assert dict(result.graph.outputs) == outputs
    assert result.diagnostics == ()


@pytest.mark.parametrize(
    "definition", [chain, diamond, unpacked, whole, passed, nested, looped], ids=lambda one: one.name
)
def test_a_pipeline_runs_as_it_is_traced(definition: Any) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)

    def interpret(pipeline: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        traced = pipeline.trace()
        done: list[dict[str, Any]] = []

        def value(ref: Reference) -> Any:
            return inputs[ref.name] if isinstance(ref, InputRef) else done[ref.step][ref.output]

        for step, called in zip(traced.graph.steps, traced.models, strict=True):
            fed = {name: value(ref) for name, ref in step.inputs}
            names = tuple(spec.name for spec in step.signature.outputs)
            done.append(called.returns.unpack(called(**fed), names))
        return {name: value(ref) for name, ref in traced.graph.outputs}

    names = tuple(spec.name for spec in definition.signature.outputs)
    eager = definition.returns.unpack(definition(x), names)
    for name, array in interpret(definition, {"x": x}).items():
        np.testing.assert_array_equal(array, eager[name])


def test_steps_know_the_line_of_their_call() -> None:
    _, first = inspect.getsourcelines(diamond.body)
    traced = diamond.trace()
    assert [step.where.line - first for step in traced.graph.steps] == [2, 3, 3]
    assert traced.graph.steps[2].where.subject == "diamond → add"
    assert traced.models == (scale, scale, add)


def test_tracing_leaves_eager_calls_as_they_were() -> None:
    diamond.trace()
    assert tracing.active() is None
    x = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(diamond(x), x * 6)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: x + 1, "computes with a tensor"),
        (lambda x: 1 - x, "computes with a tensor"),
        (lambda x: -x, "computes with a tensor"),
        (lambda x: x @ x, "computes with a tensor"),
        (lambda x: ~x, "computes with a tensor"),
        (lambda x: divmod(x, 2), "computes with a tensor"),
        (lambda x: x << 1, "computes with a tensor"),
        (lambda x: x == x, "compares tensors"),
        (lambda x: x < 1, "compares tensors"),
        (bool, "branches or loops on a tensor's value"),
        (int, "branches or loops on a tensor's value"),
        (float, "branches or loops on a tensor's value"),
        (lambda x: 1 in x, "branches or loops on a tensor's value"),
        (range, "branches or loops on a tensor's value"),
        (lambda x: x[0], "takes a tensor apart"),
        (list, "takes a tensor apart"),
        (len, "asks a tensor for its length"),
        (lambda x: x.mean(), 'asks a tensor for an attribute, "mean"'),
        (np.exp, "hands a tensor to NumPy"),
        (lambda x: np.concatenate([x, x]), "hands a tensor to NumPy"),
        (np.asarray, "hands a tensor to NumPy"),
        (lambda x: x.__setitem__(0, x), "computes with a tensor"),
        (round, "computes with a tensor"),
        (lambda x: np.ones(3) * x, "hands a tensor to NumPy"),
    ],
)
def test_only_a_model_may_compute(operation: Callable[[Any], Any], message: str) -> None:
    def body(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return operation(x)  # type: ignore[no-any-return]

    with pytest.raises(DiagnosticError) as raised:
        pipeline(body).trace()
    (found,) = raised.value.diagnostics
    assert found.code == "TF209"
    assert found.message.startswith(f"its body {message}")
    assert found.where.file == __file__


def failing(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    scaled = scale(x)
    return not_defined(scaled)  # type: ignore[name-defined,no-any-return]


def unpacks_too_few(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    one, _, _ = classify(x)  # type: ignore[misc]
    return one  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (failing, "its body fails when it is traced: NameError: name 'not_defined' is not defined"),
        (
            unpacks_too_few,
            "its body fails when it is traced: ValueError: not enough values to unpack (expected 3, got 2)",
        ),
    ],
)
def test_an_exception_of_the_body_is_told_with_its_line(body: Callable[..., Any], message: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        pipeline(body).trace()
    (found,) = raised.value.diagnostics
    assert (found.code, found.message) == ("TF219", message)
    first = inspect.getsourcelines(body)[1]
    assert found.where.line == first + (2 if body is failing else 1)
    assert tracing.active() is None


def diagnostics(body: Callable[..., Any]) -> list[tuple[str, str, str]]:
    return [(one.code, one.where.subject, one.message) for one in pipeline(body).trace().diagnostics]


def wrong_calls(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    a = scale(y=x)  # type: ignore[call-arg]
    b = scale(x, x)  # type: ignore[call-arg]
    c = add(a, lefty=b)  # type: ignore[call-arg]
    d = add(c, left=c)  # type: ignore[misc]
    add()  # type: ignore[call-arg]
    return add(d, np.ones((1, 3), np.float32))


def test_every_wrong_call_is_told_and_the_trace_goes_on() -> None:
    assert diagnostics(wrong_calls) == [
        ("TF201", "wrong_calls → scale", 'it has no input "y"'),
        ("TF202", "wrong_calls → scale", 'input "x" is not given'),
        ("TF201", "wrong_calls → scale", "2 inputs are given; it takes 1"),
        ("TF201", "wrong_calls → add", 'it has no input "lefty"'),
        ("TF201", "wrong_calls → add", 'input "left" is given twice'),
        ("TF202", "wrong_calls → add", 'input "left" is not given'),
        (
            "TF201",
            'wrong_calls → add, input "right"',
            "is fed with a constant (ndarray), not with a tensor of the pipeline",
        ),
    ]


def misspelled(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return add(leftt=x)  # type: ignore[call-arg]


def test_a_name_that_is_close_is_suggested() -> None:
    assert diagnostics(misspelled) == [("TF201", "misspelled → add", 'it has no input "leftt"; did you mean left?')]


def returns_nothing(x: Float32[np.ndarray, "batch 3"]) -> Scores:  # type: ignore[return]
    classify(x)


def returns_a_constant(x: Float32[np.ndarray, "batch 3"]) -> Scores:
    return Scores(classify(x).label, 0.5)  # type: ignore[arg-type]


def returns_too_many(x: Float32[np.ndarray, "batch 3"]) -> Scores:
    return (*classify(x), x)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            returns_nothing,
            ("TF207", "returns_nothing", "a NoneType was returned; wanted a tuple of 2 values (label, score)"),
        ),
        (
            returns_a_constant,
            (
                "TF207",
                'returns_a_constant, output "score"',
                "no model produces it: the body returns a float for it",
            ),
        ),
        (returns_too_many, ("TF207", "returns_too_many", "3 values were returned; wanted 2 (label, score)")),
    ],
)
def test_a_body_that_returns_something_else_is_told(body: Callable[..., Any], wanted: tuple[str, str, str]) -> None:
    assert diagnostics(body) == [wanted]
