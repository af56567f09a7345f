"""Casts that were asked for."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.client.errors import InvalidRequest, Target
from tritonforge.client.tensors.casts import cast_inputs, require_cast
from tritonforge.client.tensors.narrowing import cast_each
from tritonforge.client.tensors.wire import numpy_dtype
from tritonforge.ir import Signature, TensorSpec

TARGET = Target("http://h:1", "m")


def cast(datatype, value, how="exact", dims=("_",)):
    signature = Signature((TensorSpec("x", datatype, dims),), (), batched=True)
    return cast_inputs(signature, {"x": value}, how, TARGET)["x"]


@pytest.mark.parametrize(
    ("datatype", "value", "dtype"),
    [
        ("INT8", [[1, -128]], np.int8),
        ("FP32", [[1, 2]], np.float32),
        ("FP32", [[0.5, float("nan"), float("inf")]], np.float32),
        ("INT64", [[3.0]], np.int64),
        ("UINT8", np.array([[255]], np.int64), np.uint8),
        ("BOOL", [[True]], np.bool_),
        ("BYTES", [["a", b"b"]], np.object_),
        ("BF16", [[1.5]], ml_dtypes.bfloat16),
        ("FP64", 3, np.float64),
        ("FP64", np.float64(3), np.float64),
        ("FP64", np.array(3.0), np.float64),
        ("FP32", np.array([[1.0, 2, np.float32(0.5)]], object), np.float32),
        ("FP64", np.array([[1, float("nan")]], object), np.float64),
        ("BOOL", np.array([[True]], object), np.bool_),
    ],
)
def test_values_that_stay_what_they_are_are_cast(datatype, value, dtype):
    array = cast(datatype, value)
    assert array.dtype == dtype
    assert array.ndim == 2


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("INT8", [[128]]),
        ("UINT64", [[-1]]),
        ("INT32", [[0.5]]),
        ("INT32", [[float("nan")]]),
        ("FP32", [[0.1]]),
        ("FP32", [[2**24 + 1]]),
        ("BOOL", [[1]]),
        ("FP32", [["a"]]),
        ("INT8", [[1], [1, 2]]),
    ],
)
def test_values_that_would_change_are_refused(datatype, value):
    with pytest.raises(InvalidRequest, match='input "x": '):
        cast(datatype, value)


def test_round_loses_digits_but_neither_range_nor_fractions():
    assert cast("FP32", [[0.1]], "round").tolist() == [[np.float32(0.1)]]
    with pytest.raises(InvalidRequest, match=r"1e\+300"):
        cast("FP32", [[1e300]], "round")
    with pytest.raises(InvalidRequest, match=r"0\.5"):
        cast("INT32", [[0.5]], "round")


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.sampled_from(["INT8", "UINT8", "INT32", "UINT64"]))
def test_what_is_cast_is_equal(numbers, datatype):
    try:
        array = cast(datatype, np.array([numbers], np.int64))
    except InvalidRequest:
        limits = np.iinfo(datatype.lower())
        assert not all(limits.min <= number <= limits.max for number in numbers)
    else:
        assert array.tolist() == [numbers]


def test_other_names_of_casts_are_refused():
    with pytest.raises(ValueError, match="'none', 'exact', 'round'"):
        require_cast("safe")


def test_a_masked_array_is_left_to_the_checks_which_refuse_it():
    masked = np.ma.masked_array([[1, 2]], [[True, False]])
    assert cast("FP32", masked) is masked
    assert cast("BYTES", masked) is masked


@pytest.mark.parametrize(
    ("datatype", "elements", "named"),
    [
        ("FP32", [1.0, None], r"None \(NoneType\) can't be held"),
        ("FP32", [1.0, "a"], r"'a' \(str\) can't be held"),
        ("FP32", [0.1], r"0\.1 \(float64\) can't be held .*allows it"),
        ("FP64", [(1 << 53) + 1, 0.5], r"9007199254740993 \(int\) can't be held"),
        ("INT64", [1 << 70], r"1180591620717411303424 \(int\) can't be held"),
    ],
)
def test_the_object_that_can_not_be_cast_is_named(datatype, elements, named):
    with pytest.raises(InvalidRequest, match=named):
        cast(datatype, np.array([elements], object))


@pytest.mark.parametrize("numbers", [[[1, 2, "3", 4]], [[b"a", "3", 0.5]], [["2020", 1]]])
def test_the_text_among_numbers_that_can_not_be_cast_is_named(numbers):
    text = next(number for number in numbers[0] if isinstance(number, (str, bytes)))
    with pytest.raises(InvalidRequest, match=rf"input \"x\": {text!r} \({type(text).__name__}\) can't be held in FP32"):
        cast("FP32", numbers)


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BF16"])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_a_tensor_of_torch_that_makes_no_array_is_refused_by_name_with_its_mend(datatype, kind):
    torch = pytest.importorskip("torch")
    tensor = torch.ones((1, 3), dtype=getattr(torch, kind), requires_grad=True)
    with pytest.raises(InvalidRequest, match='m at http://h:1: input "x": Tensor makes no array: ') as refused:
        cast(datatype, tensor)
    mend = refused.value.reason.partition("; make one: x = ")[2]
    assert cast(datatype, eval(mend, {"x": tensor, "ml_dtypes": ml_dtypes})).tolist() == [[1, 1, 1]]


LARGE = (1 << 53) + 1  # which is no float64


@pytest.mark.parametrize(
    ("datatype", "numbers", "wanted"),
    [
        ("INT64", [[LARGE, 2.0]], [[LARGE, 2]]),
        ("INT64", ((LARGE, 2.0),), [[LARGE, 2]]),
        ("INT64", [[LARGE, True, np.float32(2)]], [[LARGE, 1, 2]]),
        ("UINT64", [[12345678901234567891, 5]], [[12345678901234567891, 5]]),
        ("INT64", np.array([[LARGE, 2.0]], object), [[LARGE, 2]]),
        ("UINT64", np.array([[(1 << 63) + 1, 1]], object), [[(1 << 63) + 1, 1]]),
        ("FP64", np.array([[1 << 63]], np.uint64), [[2.0**63]]),
        ("FP32", [[1 << 70, 0.5]], [[2.0**70, 0.5]]),
    ],
)
def test_large_integers_beside_others_stay_what_they_are(datatype, numbers, wanted):
    assert cast(datatype, numbers).tolist() == wanted


@pytest.mark.parametrize("numbers", [[[LARGE, 0.5]], ([LARGE, 0.5],), np.array([[LARGE, 0.5]], object)])
def test_a_large_integer_that_no_float_is_is_refused_among_floats(numbers):
    with pytest.raises(
        InvalidRequest, match=r'9007199254740993 \(int\) can\'t be held in FP64.*cast="round" allows it'
    ):
        cast("FP64", numbers)
    assert cast("FP64", numbers, "round").tolist() == [[LARGE - 1, 0.5]]


def test_round_gives_the_nearest():
    assert cast("BF16", [[1 + 2**-8 + 2**-30]], "round").astype(np.float64).tolist() == [[1.0078125]]
    assert cast("FP16", [[1 + 2**-11 + 2**-40]], "round").astype(np.float64).tolist() == [[1 + 2**-10]]


@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
@pytest.mark.parametrize("value", [[np.ma.array([1.0, 2.0], mask=[0, 1])], ([1.0, np.ma.masked],)])
def test_a_masked_array_in_a_list_is_refused(datatype, value):
    with pytest.raises(InvalidRequest, match=r"a masked array in it given.*np\.ma\.array\(x, dtype=.*\)\.filled\(…\)"):
        cast(datatype, value)


@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_what_makes_no_array_is_refused_with_what_would(datatype):
    with pytest.raises(InvalidRequest, match=r"a generator given; make a list of it: x = list\(x\)$"):
        cast(datatype, (row for row in [[1.0]]))
    with pytest.raises(InvalidRequest, match=r"row 0 has \[1\], row 1 \[2\]; an array has rows of equal length$"):
        cast(datatype, [["a"], ["b", "c"]])


NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.integers(-3, 3) | st.floats() | st.floats(width=16) | st.booleans()


@given(
    st.lists(NUMBERS, min_size=1) | st.lists(st.floats(), min_size=1) | st.lists(st.integers(-9, 9), min_size=1),
    st.sampled_from(["INT8", "UINT64", "INT64", "FP16", "FP32", "FP64"]),
    st.sampled_from(["exact", "round"]),
)
def test_numbers_of_a_list_are_cast_as_each_for_itself(numbers, datatype, how):
    there, kept = cast_each(numbers, numpy_dtype(datatype), rounding=how == "round")
    try:
        array = cast(datatype, [numbers], how)
    except InvalidRequest:
        assert not kept.all()
    else:
        assert kept.all()
        assert array.tobytes() == there.tobytes()
