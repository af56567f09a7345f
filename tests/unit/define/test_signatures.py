"""Signatures of Python functions and classes, read from their annotations."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from jaxtyping import Float32, Int32, Int64

from tritonforge import String, model
from tritonforge.errors import DiagnosticError
from tritonforge.ir import Signature, TensorSpec


class Scores(NamedTuple):
    label: Int64[np.ndarray, "batch"]
    title: String[np.ndarray, "batch 1"]


class MoreScores(Scores):
    """A NamedTuple by inheritance."""


@dataclasses.dataclass
class Record:
    label: Int64[np.ndarray, "batch"]


class Unannotated:
    def __call__(self, x):  # type: ignore[no-untyped-def]  # what this file tests
        return x


def one(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x


def named(x: Float32[np.ndarray, "batch 4"]) -> Scores: ...  # type: ignore[empty-body]


def inherited(x: Float32[np.ndarray, "batch 4"]) -> MoreScores: ...  # type: ignore[empty-body]


def numbered(x: Float32[np.ndarray, "4"]) -> tuple[Float32[np.ndarray, "4"], Int64[np.ndarray, "1"]]: ...  # type: ignore[empty-body]


def stream(x: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    yield x


def stream_of_records(x: Float32[np.ndarray, "batch 4"]) -> Generator[Scores, None, None]: ...  # type: ignore[empty-body]


def stream_of_any_kind(x: Int64[np.ndarray, "1"]) -> Iterable[Int64[np.ndarray, "1"]]: ...  # type: ignore[empty-body]


def optional(  # type: ignore[empty-body]
    x: Float32[np.ndarray, "batch 4"], bonus: Float32[np.ndarray, "batch 4"] | None = None
) -> Float32[np.ndarray, "batch 4"]: ...  # type: ignore[empty-body]


def with_constants(  # type: ignore[empty-body,no-untyped-def]
    x: Float32[np.ndarray, "batch 4"], factor: float = 2.0, *, clip=True, mode: str = "a"
) -> Float32[np.ndarray, "batch 4"]: ...  # type: ignore[no-untyped-def]


IN = TensorSpec("x", "FP32", (4,))
OUT = TensorSpec("output", "FP32", (4,))
RECORD = (TensorSpec("label", "INT64", ()), TensorSpec("title", "BYTES", (1,), text=True))


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (one, Signature((IN,), (OUT,), batched=True)),
        (named, Signature((IN,), RECORD, batched=True)),
        (inherited, Signature((IN,), RECORD, batched=True)),
        (
            numbered,
            Signature(
                (IN,), (TensorSpec("output_0", "FP32", (4,)), TensorSpec("output_1", "INT64", (1,))), batched=False
            ),
        ),
        (
            stream,
            Signature(
                (TensorSpec("x", "INT64", (1,)),), (TensorSpec("output", "INT64", (1,)),), batched=False, decoupled=True
            ),
        ),
        (stream_of_records, Signature((IN,), RECORD, batched=True, decoupled=True)),
        (
            stream_of_any_kind,
            Signature(
                (TensorSpec("x", "INT64", (1,)),), (TensorSpec("output", "INT64", (1,)),), batched=False, decoupled=True
            ),
        ),
        (optional, Signature((IN, TensorSpec("bonus", "FP32", (4,), optional=True)), (OUT,), batched=True)),
        (with_constants, Signature((IN,), (OUT,), batched=True)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_parameters_are_inputs_and_results_are_outputs(function: Callable[..., Any], signature: Signature) -> None:
    assert model(function).signature == signature


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def scaled(x: Float32[np.ndarray, "batch 4"], factor: float) -> Float32[np.ndarray, "batch 4"]:
    return x * np.float32(factor)


class Scale:
    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def __call__(self, x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
        return x * np.float32(self.factor)


class Twice(Scale):
    """A model by inheritance."""

    @staticmethod
    def helper(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
        return x * 2


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(logged(one), id="decorated"),
        pytest.param(functools.lru_cache(one), id="cached"),
        pytest.param(functools.partial(scaled, factor=2.0), id="partial"),
        pytest.param(functools.partial(logged(scaled), factor=2.0), id="partial of decorated"),
        pytest.param(Scale, id="class"),
        pytest.param(Twice, id="inherited class"),
        pytest.param(Scale(3), id="callable object"),
        pytest.param(Scale(3).__call__, id="bound method"),
        pytest.param(Twice.helper, id="static method"),
    ],
)
def test_whatever_can_be_called_by_keyword_is_a_model(target: Any) -> None:
    assert model(target).signature == Signature((IN,), (OUT,), batched=True)


def starred(*x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]: ...  # type: ignore[empty-body]


def keywords(**x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]: ...  # type: ignore[empty-body]


def positional(x: Float32[np.ndarray, "batch 4"], /) -> Float32[np.ndarray, "batch 4"]: ...  # type: ignore[empty-body]


def none_default(x: Float32[np.ndarray, "4"] = None) -> Float32[np.ndarray, "4"]: ...  # type: ignore[empty-body,assignment]


def tensor_default(x: Float32[np.ndarray, "4"] = np.ones(4)) -> Float32[np.ndarray, "4"]: ...  # type: ignore[empty-body,assignment]  # noqa: B008


def optional_output(x: Float32[np.ndarray, "4"]) -> Float32[np.ndarray, "4"] | None: ...  # type: ignore[empty-body]


def record(x: Float32[np.ndarray, "batch 4"]) -> Record: ...  # type: ignore[empty-body]


def any_length(x: Float32[np.ndarray, "4"]) -> tuple[Float32[np.ndarray, "4"], ...]: ...  # type: ignore[empty-body]


def nothing_returned(x: Float32[np.ndarray, "4"]) -> None: ...


def unknown_name(x: NotImported[np.ndarray, "4"]) -> Float32[np.ndarray, "4"]: ...  # type: ignore[empty-body,name-defined]


def mixed(x: Float32[np.ndarray, "batch 4"], y: Int32[np.ndarray, "4"]) -> Float32[np.ndarray, "batch 4"]: ...  # type: ignore[empty-body]


def yields(x: Float32[np.ndarray, "4"]) -> Float32[np.ndarray, "4"]:  # type: ignore[misc]
    yield x  # type: ignore[misc]  # what this file tests


async def coroutine(x: Float32[np.ndarray, "4"]) -> AsyncIterator[Float32[np.ndarray, "4"]]: ...  # type: ignore[empty-body]


async def waits(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:  # type: ignore[misc]
    yield x


class Uncallable:
    pass


class NeedsArguments(Scale):
    def __init__(self, factor: float, *, offset: float, power: float = 2) -> None:
        super().__init__(factor)


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        (starred, "TF110", "this parameter has none"),
        (keywords, "TF110", "this parameter has none"),
        (positional, "TF110", "this parameter has none"),
        (tensor_default, "TF110", "a tensor's default can't be sent to Triton"),
        pytest.param(
            *(none_default, "TF110", "it is None by default, but isn't annotated as optional"),
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="CPython 3.10 reads it as optional"),
        ),
        (optional_output, "TF103", "an output can't be optional in Triton"),
        (record, "TF103", "Record is not a tensor"),
        (any_length, "TF103", "is not a tensor"),
        (nothing_returned, "TF103", "NoneType is not a tensor"),
        (unknown_name, "TF102", "its annotations can't be evaluated: NameError: name 'NotImported' is not defined"),
        (lambda: 0, "TF102", "has no annotation"),
        (mixed, "TF104", '"x", "output" has a batch dimension, "y" has none'),
        (yields, "TF110", "it yields, but is annotated to return once"),
        (coroutine, "TF110", "it is annotated as a stream, but doesn't yield"),
        (waits, "TF110", "it is an async generator, and its annotation is not"),
        (Uncallable, "TF110", "the class has no __call__"),
        (NeedsArguments, "TF110", "its __init__ needs factor, offset; Triton gives it no more than its Instance"),
        (Unannotated, "TF102", "has no annotation"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_triton_cannot_express_is_refused_with_its_reason(target: Any, code: str, message: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        _ = model(target).signature
    assert code in {diagnostic.code for diagnostic in raised.value.diagnostics}
    assert message in str(raised.value)
    assert all(diagnostic.where.file for diagnostic in raised.value.diagnostics)


@pytest.mark.parametrize(
    ("kind", "tensor"), [(bool, "Bool"), (int, "Int64"), (float, "Float32"), (str, "String"), (bytes, "Bytes")]
)
def test_a_plain_value_is_told_as_a_tensor_or_as_no_input(kind: type, tensor: str) -> None:
    def scale(x: Float32[np.ndarray, "batch 4"], by: Any) -> Float32[np.ndarray, "batch 4"]:
        return x * by

    scale.__annotations__["by"] = kind
    with pytest.raises(DiagnosticError) as raised:
        _ = model(scale).signature
    (one,) = raised.value.diagnostics
    assert (one.code, one.message) == ("TF103", f"{kind.__name__} is not a tensor")
    way = f'annotate it as {tensor}[np.ndarray, "batch"], one value a row'
    assert one.hint == f"{way}; or give it a default: then it is no input"


class LibraryArray:
    data: Any

    def __array__(self) -> None: ...


def test_a_librarys_array_is_told_as_one_and_not_as_a_record() -> None:
    def scale(x: Float32[np.ndarray, "batch 4"]) -> LibraryArray: ...  # type: ignore[empty-body]

    with pytest.raises(DiagnosticError) as raised:
        _ = model(scale).signature
    (one,) = raised.value.diagnostics
    assert one.hint == 'annotate it as Float32[np.ndarray, "batch 20"], say, and convert inside'


def test_all_that_is_wrong_is_said_at_once() -> None:
    def wrong(a, b: float, *c):  # type: ignore[no-untyped-def]
        return a

    with pytest.raises(DiagnosticError) as raised:
        _ = model(wrong).signature
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == ["TF102", "TF103", "TF110", "TF102"]


def test_a_definition_keeps_the_name_and_documentation_of_its_function() -> None:
    @model
    def documented(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
        """Say something."""
        return x

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Say something."
    assert documented.__wrapped__(np.ones(1)) == 1  # type: ignore[attr-defined]
