"""Models that a file of definitions holds, called by a fused pipeline's body or by another model's code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tritonforge_runtime.errors import InvalidArgument, InvalidResult, TritonError
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.inner import PipelinePart
from tritonforge_runtime.padding import PaddedDim
from tritonforge_runtime.parts import ClassPart, FunctionPart, PartSpec
from tritonforge_runtime.spec import TensorSpec

X = np.ones((2, 3), np.float32)
STEP = PartSpec(
    "serving",
    "mid",
    name="mid",
    batched=True,
    inputs=(TensorSpec("x", "FP32", (3,)), TensorSpec("more", "FP32", (3,), optional=True)),
    outputs=(TensorSpec("output", "FP32", (3,)),),
)
NESTED = replace(STEP, nested=True)


def part(function: Any, spec: PartSpec = NESTED) -> FunctionPart:
    made = FunctionPart(function)
    made.load_part(spec)
    return made


@pytest.mark.parametrize("spec", [STEP, NESTED], ids=["step", "nested"])
@pytest.mark.parametrize(
    ("result", "said"),
    [
        (X.astype(float), r'output "output" is float64\[2, 3\]; wanted FP32\[batch, 3\]'),
        (X[:, :1], r'output "output" has shape \[2, 1\]'),
        (X[:1], r'output "output" has 1 rows; wanted 2'),
        (X.tolist(), r'output "output" is a list'),
    ],
)
def test_a_wrong_result_is_that_of_the_model_called(spec: PartSpec, result: Any, said: str) -> None:
    def mid(x: Any, more: Any = None) -> Any:
        return result

    with pytest.raises(InvalidResult, match=said) as caught:
        part(mid, spec)(X)

    told, _ = Failures("last", roots=[__file__.rpartition("/")[0]], function=lambda: None).describe(caught.value)
    assert told.startswith('mid: output "output" ')
    assert told.endswith(f"  (test_parts.py:{mid.__code__.co_firstlineno} mid)")


def test_the_innermost_model_is_named() -> None:
    inner = part(lambda x, more=None: x[:1])
    outer = part(lambda x, more=None: inner(x), replace(NESTED, name="outer"))

    with pytest.raises(InvalidResult) as caught:
        outer(X)

    assert caught.value.model == "mid"


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((X.astype(float),), {}, r'mid: argument "x" is float64\[2, 3\]; wanted FP32\[batch, 3\]'),
        ((X.tolist(),), {}, r'mid: argument "x" is a list'),
        ((X,), {"more": X[:1]}, r'mid: argument "more" has 1 rows; wanted 2'),
        ((), {"more": X}, "mid takes x, more; got more"),
        ((X,), {"y": X}, "mid takes x, more; got 1 argument, y"),
        ((X, X, X), {}, "mid takes x, more; got 3 arguments"),
    ],
)
def test_arguments_of_a_nested_call_are_checked(args: Any, kwargs: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{said}") as caught:
        part(lambda x, more=None: x)(*args, **kwargs)

    told, code = Failures("last", roots=[__file__.rpartition("/")[0]]).describe(caught.value)
    assert "(test_parts.py:" in told
    assert code == "INTERNAL"


def test_strings_of_a_nested_call_are_as_annotated() -> None:
    text = replace(
        NESTED,
        inputs=(TensorSpec("x", "BYTES", (1,), text=True),),
        outputs=(TensorSpec("output", "BYTES", (1,), text=True),),
    )
    echo = part(lambda x: x, text)

    assert echo(np.array([[b"a"]], object)).tolist() == [["a"]]
    with pytest.raises(InvalidArgument, match='mid: argument "x" holds int 5; wanted str or bytes'):
        echo(np.array([[5]], object))


def test_a_coroutine_and_streams_are_looked_at_as_they_come() -> None:
    async def awaited(x: Any, more: Any = None) -> Any:
        return x[:1]

    def stream(x: Any, more: Any = None) -> Iterator[Any]:
        yield x
        yield x[:1]

    async def async_stream(x: Any, more: Any = None) -> AsyncIterator[Any]:
        yield x
        yield x[:1]

    async def read() -> list[Any]:
        results = part(async_stream, streams)(X)
        first = await anext(results)
        with pytest.raises(InvalidResult, match="has 1 rows"):
            await anext(results)
        return [first]

    streams = replace(NESTED, decoupled=True)
    with pytest.raises(InvalidResult, match="has 1 rows"):
        asyncio.run(part(awaited)(X))
    results = part(stream, streams)(X)
    assert next(results) is X
    with pytest.raises(InvalidResult, match="has 1 rows"):
        next(results)
    assert asyncio.run(read()) == [X]


def test_a_refusal_of_a_step_names_it_and_one_of_a_nested_model_stays_as_it_is() -> None:
    def refuse(x: Any, more: Any = None) -> Any:
        raise TritonError("no such customer", "NOT_FOUND")

    for spec, told in ((STEP, "mid: no such customer"), (NESTED, "no such customer")):
        with pytest.raises(TritonError) as caught:
            part(refuse, spec)(X)
        assert str(caught.value) == "no such customer", "as in eager calls"
        assert Failures("last").describe(caught.value) == (told, "NOT_FOUND")


@pytest.mark.parametrize("spec", [STEP, NESTED], ids=["step", "nested"])
def test_a_refusal_of_the_runtimes_own_names_the_model(spec: PartSpec) -> None:
    dim = PaddedDim("seq", 0, (2,), inputs=[("x", 1)])

    with pytest.raises(TritonError) as caught:
        part(lambda x, more=None: x, replace(spec, inputs=(TensorSpec("x", "FP32", (-1,)),), padding=[dim]))(X)

    told = Failures("last").describe(caught.value)
    assert told == ("mid: seq is 3, longer than the 2 that it takes at most (pad_to)", "INVALID_ARG")


@pytest.mark.parametrize("spec", [STEP, NESTED], ids=["step", "nested"])
def test_an_optional_input_that_is_left_out_is_none(spec: PartSpec) -> None:
    def mid(x: Any, more: Any) -> Any:
        return x if more is None else x + more

    class Mid:
        def __call__(self, x: Any, more: Any) -> Any:
            return mid(x, more)

    made = ClassPart(Mid)
    made.load_part(spec)
    for called in (part(mid, spec), made):
        assert called(X).tolist() == called(x=X, more=None).tolist() == X.tolist()
        assert called(X, X).tolist() == called(X, more=X).tolist() == (X + X).tolist()


def test_an_optional_input_of_a_pipeline_inside_may_be_left_out() -> None:
    inner = PipelinePart(lambda x, more: (x, more))
    inner.load_part(STEP)

    assert inner(1) == inner(x=1) == inner(1, None) == (1, None)
    assert inner(1, 2) == inner(1, more=2) == (1, 2)
    with pytest.raises(TypeError, match="'x'"):
        inner(more=2)


def test_a_nested_class_is_made_by_its_first_call() -> None:
    made: list[int] = []

    class Mid:
        def __init__(self) -> None:
            made.append(1)

        def __call__(self, x: Any, more: Any = None) -> Any:
            return x

    nested = ClassPart(Mid)
    nested.load_part(NESTED)
    assert not made
    nested(X)
    nested(X)
    assert made == [1]
