"""Definitions called on arrays: they run here, and what doesn't match the signature is refused."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jaxtyping
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from tritonforge import Bytes, String, TritonError, model, pipeline
from tritonforge.dtypes import DTYPES
from tritonforge.errors import InvalidTensor


class Scores(NamedTuple):
    label: Int64[np.ndarray, "batch"]
    probability: Float32[np.ndarray, "batch 2"]


@model
def scale(x: Float32[np.ndarray, "batch 3"], factor: float = 2.0) -> Float32[np.ndarray, "batch 3"]:
    return x * np.float32(factor)


@model
def join(a: Float32[np.ndarray, "batch seq"], b: Float32[np.ndarray, "batch seq"]) -> Float32[np.ndarray, "batch seq"]:
    return a + b


@model
def shift(x: Float32[np.ndarray, "3"], by: Float32[np.ndarray, "3"] | None = None) -> Float32[np.ndarray, "3"]:
    return x if by is None else x + by


@model
def greet(name: String[np.ndarray, "batch"]) -> String[np.ndarray, "batch"]:
    assert all(type(item) is str for item in name)
    return np.asarray([f"hello {item}" for item in name], dtype=object)


@model
def reverse(raw: Bytes[np.ndarray, "n"]) -> Bytes[np.ndarray, "n"]:
    assert all(type(item) is bytes for item in raw)
    return np.asarray([item[::-1] for item in raw], dtype=object)


@model
def count(start: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    for step in range(3):
        yield start + step


@model
class Counter:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.calls = 0

    def __call__(self, x: Int64[np.ndarray, "1"]) -> Int64[np.ndarray, "1"]:
        self.calls += 1
        return x + self.calls


ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_function_runs_by_position_and_by_keyword() -> None:
    np.testing.assert_array_equal(scale(ROWS), ROWS * 2)
    np.testing.assert_array_equal(scale(x=ROWS), ROWS * 2)


def test_any_batch_is_taken_even_an_empty_one() -> None:
    assert scale(ROWS[:0]).shape == (0, 3)
    assert scale(ROWS[:1]).shape == (1, 3)


def test_an_optional_input_may_be_left_out_or_none() -> None:
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(shift(x), x)
    np.testing.assert_array_equal(shift(x, None), x)
    np.testing.assert_array_equal(shift(x, by=x), x * 2)


def test_the_callers_array_is_passed_on_unchanged() -> None:
    seen = []

    @model
    def look(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        seen.append(x)
        return x

    assert look(ROWS) is ROWS
    assert seen[0] is ROWS


@pytest.mark.parametrize(
    "names",
    [
        np.array(["ann", "bö"], dtype=object),
        np.array([b"ann", "bö".encode()], dtype=object),
        np.array(["ann", "bö"]),
        np.char.encode(np.array(["ann", "bö"]), "utf-8"),
    ],
    ids=["str", "bytes", "U", "S"],
)
def test_text_comes_as_str_however_it_was_given(names: NDArray[Any]) -> None:
    assert greet(names).tolist() == ["hello ann", "hello bö"]


@pytest.mark.parametrize(
    "raw", [np.array(["ab"], object), np.array([b"ab"], object), np.array(["ab"]), np.array([b"ab"])]
)
def test_raw_strings_come_as_bytes_however_they_were_given(raw: NDArray[Any]) -> None:
    assert reverse(raw).tolist() == [b"ba"]


def test_a_generator_gives_a_stream() -> None:
    assert [int(one[0]) for one in count(np.array([5]))] == [5, 6, 7]


def test_a_stream_may_fill_one_array_again_as_served() -> None:
    @model
    def refilled(start: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
        number = start.copy()
        for _ in range(3):
            yield number
            number += 1

    assert [one.tolist() for one in refilled(np.array([5]))] == [[5], [6], [7]]


def test_a_stream_that_is_no_generator_is_told_at_the_call() -> None:
    """In the words of the server."""

    @model
    def once(start: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
        return start + 1

    with pytest.raises(InvalidTensor, match="once: returned ndarray; wanted an iterator, as a generator"):
        once(np.array([1]))


def test_a_streams_arguments_are_checked_at_the_call_and_each_result_when_it_comes() -> None:
    @model
    def broken(start: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
        yield start
        yield start.astype(np.float64)  # type: ignore[misc]

    with pytest.raises(InvalidTensor, match='broken: argument "start" is FP64'):
        broken(np.array([5.0]))
    results = broken(np.array([5]))
    assert next(results).tolist() == [5]
    with pytest.raises(InvalidTensor, match='broken: result "output" is FP64'):
        next(results)


def test_a_masked_array_is_refused_since_a_server_would_see_what_it_hides() -> None:
    with pytest.raises(InvalidTensor, match=r'argument "start" is a masked array; .* \.filled\(…\) says what they are'):
        count(np.ma.masked_array([5], [True]))


def test_numbers_of_the_other_byte_order_become_this_machines_as_a_server_sees_them() -> None:
    seen = []

    @model
    def swapped(x: Float32[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
        seen.append(x.dtype.isnative)
        return x.astype(">f4")

    result = swapped(np.array([1, 2], ">f4"))

    assert (result.tolist(), result.dtype.isnative, seen) == ([1, 2], True, [True])


def test_a_class_is_made_once_and_keeps_its_state() -> None:
    x = np.array([0])
    assert [int(Counter(x)[0]) for _ in range(3)] == [1, 2, 3]  # type: ignore[call-arg,index]
    assert Counter.target.made == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("returned", ["tuple", "mapping", "Scores"])
def test_outputs_come_in_the_declared_form(returned: str) -> None:
    parts = np.zeros(2, np.int64), np.zeros((2, 2), np.float32)

    @model
    def classify(x: Float32[np.ndarray, "batch 3"]) -> Scores:
        mapping = {"probability": parts[1], "label": parts[0]}
        return {"tuple": parts, "mapping": mapping, "Scores": Scores(*parts)}[returned]  # type: ignore[return-value]

    result = classify(ROWS)
    assert isinstance(result, Scores)
    assert result.label is parts[0]


@pytest.mark.parametrize(
    "form", [lambda y: y, lambda y: (y,), lambda y: {"output": y}], ids=["array", "tuple", "mapping"]
)
def test_one_output_comes_in_three_forms(form: Any) -> None:
    @model
    def same(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return form(x)  # type: ignore[no-any-return]

    assert same(ROWS) is ROWS


def test_a_plain_tuple_stays_one() -> None:
    @model
    def split(x: Float32[np.ndarray, "n"]) -> tuple[Float32[np.ndarray, "n"], Int64[np.ndarray, "1"]]:
        return x, np.array([len(x)])

    result = split(ROWS[0])
    assert type(result) is tuple
    assert result[1].tolist() == [3]


def test_a_partial_is_called_with_what_it_holds() -> None:
    double = model(functools.partial(scale.target, factor=4.0))
    np.testing.assert_array_equal(double(ROWS), ROWS * 4)


@pytest.mark.parametrize("dtype", [one for one in DTYPES.values() if one.name != "BYTES"], ids=str)
def test_every_data_type_passes_and_no_other_is_taken_for_it(dtype: Any) -> None:
    annotation = getattr(jaxtyping, dtype.annotation)[np.ndarray, "batch"]

    def echo(x: Any) -> Any:
        return x

    echo.__annotations__ = {"x": annotation, "return": annotation}
    echoed = model(echo)
    array = np.ones(3).astype(dtype.numpy)
    assert echoed(array) is array
    for other in DTYPES.values():
        if other is not dtype:
            with pytest.raises(
                InvalidTensor, match=rf'argument "x" is {other.name}\[3\]; wanted {dtype.name}\[batch\]'
            ):
                echoed(np.ones(3).astype(other.numpy))


def test_bf16_is_ml_dtypes() -> None:
    @model
    def echo(x: jaxtyping.BFloat16[np.ndarray, "n"]) -> jaxtyping.BFloat16[np.ndarray, "n"]:
        return x

    assert echo(np.ones(2, ml_dtypes.bfloat16)).dtype == ml_dtypes.bfloat16
    for dtype, mend in (
        (np.float32, "convert it: .astype(ml_dtypes.bfloat16)"),
        (np.int16, "its bits: .view(ml_dtypes.bfloat16); its numbers: .astype(ml_dtypes.bfloat16)"),
        (np.uint16, "its bits: .view(ml_dtypes.bfloat16); its numbers: .astype(ml_dtypes.bfloat16)"),
    ):
        with pytest.raises(InvalidTensor, match=re.escape(f"wanted BF16[n] ({mend})")):
            echo(np.ones(2, dtype))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: scale(ROWS.astype(np.float64)),
            'scale: argument "x" is FP64[2, 3]; wanted FP32[batch, 3] (convert it: .astype("float32"))',
        ),
        (
            lambda: scale(ROWS.astype(np.complex64)),
            'scale: argument "x" is complex64[2, 3]; wanted FP32[batch, 3] (convert it: .astype("float32"))',
        ),
        (lambda: scale(ROWS.astype(str)), 'scale: argument "x" is BYTES[2, 3]; wanted FP32[batch, 3]'),
        (
            lambda: scale(ROWS[0]),
            'scale: argument "x" has shape [3], of 1 dimension; wanted FP32[batch, 3], of 2 dimensions',
        ),
        (
            lambda: scale(ROWS[:, :2]),
            'scale: argument "x" has shape [2, 2]; wanted FP32[batch, 3]: 2 where 3 is wanted',
        ),
        (
            lambda: scale(ROWS.tolist()),
            'scale: argument "x" is a list; wanted an np.ndarray of FP32[batch, 3] '
            '(np.asarray(…, dtype="float32") makes one)',
        ),
        (lambda: scale(object()), 'scale: argument "x" is an object; wanted an np.ndarray of FP32[batch, 3]'),  # type: ignore[arg-type]
        (
            lambda: scale(np.int32(1)),  # type: ignore[arg-type]
            'scale: argument "x" is a numpy.int32; wanted an np.ndarray of FP32[batch, 3]',
        ),
        (
            lambda: join(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)),
            'join: argument "b" has shape [2, 4]; wanted FP32[batch, seq]: seq is 4, but 3 in a',
        ),
        (
            lambda: join(np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)),
            'join: argument "b" has shape [1, 3]; wanted FP32[batch, seq]: batch is 1, but 2 in a',
        ),
        (
            lambda: greet(np.array([1, "a"], dtype=object)),
            'greet: argument "name" holds an int; wanted str or bytes',
        ),
        (
            lambda: greet(np.array([b"\xff"], dtype=object)),
            "greet: argument \"name\" holds bytes that are not UTF-8 ('utf-8' codec can't decode byte 0xff in position "
            "0: invalid start byte); annotate it as Bytes",
        ),
        (lambda: reverse(np.array([None], object)), 'reverse: argument "raw" holds None; wanted str or bytes'),
        (
            scale,
            'scale: input "x" is not given; it takes (x: FP32[batch, 3]) -> (output: FP32[batch, 3])',
        ),
        (
            lambda: scale(ROWS, ROWS),  # type: ignore[arg-type]
            "scale: 2 inputs are given; it takes 1; it takes (x: FP32[batch, 3]) -> (output: FP32[batch, 3])",
        ),
        (
            lambda: scale(ROWS, x=ROWS),  # type: ignore[misc]
            'scale: input "x" is given twice; it takes (x: FP32[batch, 3]) -> (output: FP32[batch, 3])',
        ),
        (
            lambda: scale(ROWS, factor=3),
            'scale: it has no input "factor"; it takes (x: FP32[batch, 3]) -> (output: FP32[batch, 3])',
        ),
        (lambda: shift(by=np.ones(3, np.float32)), 'shift: input "x" is not given'),  # type: ignore[call-arg]
        (lambda: scale(None), 'scale: input "x" is not given'),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_is_named_with_what_was_found_and_wanted(call: Any, message: str) -> None:
    with pytest.raises(InvalidTensor) as raised:
        call()
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "classify: a NoneType was returned; wanted a tuple of 2 values (label, probability)"),
        (np.zeros(2), "classify: a ndarray was returned; wanted a tuple of 2 values (label, probability)"),
        ([1, 2], "classify: a list was returned; wanted a tuple of 2 values (label, probability)"),
        ((np.zeros(2),), "classify: 1 value was returned; wanted 2 (label, probability)"),
        ({"label": 1, 0: 2}, "classify: a mapping of label, 0 was returned; wanted label, probability"),
        (
            (np.zeros(2), np.zeros((2, 2), np.float32)),
            'classify: result "label" is FP64[2]; wanted INT64[batch] (convert it: .astype("int64"))',
        ),
        (
            (np.zeros(3, np.int64), np.zeros((3, 2), np.float32)),
            'classify: result "label" has shape [3]; wanted INT64[batch]: batch is 3, but 2 in x',
        ),
        (
            (np.zeros(2, np.int64), None),
            'classify: result "probability" is None; wanted an np.ndarray of FP32[batch, 2]',
        ),
    ],
)
def test_a_wrong_result_is_named_too(result: Any, message: str) -> None:
    @model
    def classify(x: Float32[np.ndarray, "batch 3"]) -> Scores:
        return result  # type: ignore[no-any-return]

    with pytest.raises(InvalidTensor) as raised:
        classify(ROWS)
    assert str(raised.value) == message


def test_an_exception_of_the_models_own_passes_through() -> None:
    @model
    def refuse(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        raise TritonError("too many", "INVALID_ARG")

    with pytest.raises(TritonError, match="too many") as raised:
        refuse(ROWS)
    assert raised.value.code == "INVALID_ARG"


def test_tensors_may_be_called_as_python_calls_its_own_arguments() -> None:
    @model
    def odd(
        self: Float32[np.ndarray, "n"], args: Float32[np.ndarray, "n"], inputs: Float32[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n"]:
        return self + args + inputs

    x = np.ones(2, np.float32)
    assert odd(self=x, args=x, inputs=x).tolist() == [3, 3]


def test_wrap_puts_outputs_by_name_into_the_definitions_form() -> None:
    @model
    def classify(x: Float32[np.ndarray, "batch 3"]) -> Scores: ...  # type: ignore[empty-body]

    label, probability = np.zeros(2, np.int64), np.zeros((2, 2), np.float32)
    assert classify.wrap({"probability": probability, "label": label, "else": label}) == Scores(label, probability)
    assert scale.wrap({"output": ROWS}) is ROWS


class Both(NamedTuple):
    doubled: Float32[np.ndarray, "batch 3"]
    x: Float32[np.ndarray, "batch 3"]


@pipeline
def doubled_twice(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return scale(scale(x))


@pipeline
def nested(x: Float32[np.ndarray, "batch 3"]) -> Both:
    return Both(scale(doubled_twice(x)), x)


def test_a_pipeline_runs_its_models_here() -> None:
    np.testing.assert_array_equal(doubled_twice(ROWS), ROWS * 4)


def test_a_pipeline_runs_pipelines_and_passes_inputs_on() -> None:
    result = nested(x=ROWS)
    assert isinstance(result, Both)
    np.testing.assert_array_equal(result.doubled, ROWS * 8)
    np.testing.assert_array_equal(result.x, ROWS)


def test_a_fault_inside_a_pipeline_names_the_model() -> None:
    @pipeline
    def wrong(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
        return scale(x)

    with pytest.raises(InvalidTensor, match='scale: argument "x" has shape'):
        wrong(np.ones((2, 4), np.float32))


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 4), st.just(3)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_eager_is_the_function_itself(x: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(scale(x), scale.target(x))


@given(st.lists(st.one_of(st.text(), st.binary()), max_size=5))
def test_raw_strings_survive_whatever_they_hold(items: list[str | bytes]) -> None:
    raw = np.empty(len(items), dtype=object)
    raw[:] = items
    wanted = [item.encode("utf-8", "strict") if isinstance(item, str) else item for item in items]
    assert reverse(raw).tolist() == [item[::-1] for item in wanted]


def test_an_error_code_is_one_of_tritons() -> None:
    """Otherwise the server alone would find it out."""
    with pytest.raises(ValueError, match=r"'NOT_FOND' is none of Triton's error codes, INTERNAL, .*mean NOT_FOUND\?"):
        TritonError("x", code="NOT_FOND")  # type: ignore[arg-type]  # what is tested


def test_a_string_that_no_server_could_send_is_refused() -> None:
    @model
    def half(x: Float32[np.ndarray, "batch n"]) -> String[np.ndarray, "batch 1"]:
        return np.array([["\ud800"]], object)

    with pytest.raises(InvalidTensor, match=r"half: result \"output\" holds '\\ud800', half of a surrogate pair"):
        half(np.ones((1, 1), np.float32))
    with pytest.raises(InvalidTensor, match=r"argument \"[a-z]+\" holds '\\udc80', half of a surrogate pair"):
        reverse(np.array(["\udc80"], object))
