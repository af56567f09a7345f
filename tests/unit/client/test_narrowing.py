"""Numbers of another dtype: which is the nearest, and which are still the same."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tritonforge.client.tensors.narrowing import cast_array, cast_each, nearest
from tritonforge.dtypes import DTYPES

BF16, FP16, FP32, FP64 = (DTYPES[name].numpy for name in ("BF16", "FP16", "FP32", "FP64"))
LARGE = float(ml_dtypes.finfo(BF16).max)


def is_nearest(number: float | int, found: np.ndarray) -> bool:
    """Tell it by the floats on both sides of the one that was found: of two that are as near, it is the even one."""
    bits = found.view(np.uint16 if found.itemsize == 2 else np.uint32)
    here = abs(Fraction(float(found)) - Fraction(number))
    beside = [(bits + np.array(step, bits.dtype)).view(found.dtype) for step in ((-1) % (1 << 8 * found.itemsize), 1)]
    there = [abs(Fraction(float(one)) - Fraction(number)) for one in beside if np.isfinite(one.astype(FP64))]
    return all(here < other or (here == other and int(bits) % 2 == 0) for other in there)


@given(
    st.floats(-LARGE, LARGE, allow_subnormal=True)
    | st.builds(lambda n, tiny: n + tiny, st.floats(1, 2), st.floats(0, 1e-9))
)
@example(1 + 2**-8 + 2**-30)
@example(1 + 2**-8 - 2**-30)
@example(-(1 + 2**-8 + 2**-52))
@example(1 + 2**-8)
@example(1 + 3 * 2**-8)
@example(2.0**-133 + 2.0**-134 + 2.0**-170)
def test_a_float_becomes_the_nearest_bf16(number):
    found = nearest(np.array(number), BF16)
    assert is_nearest(number, found) or not number


@given(st.floats(-65504, 65504) | st.just(1 + 2**-11 + 2**-40), st.sampled_from([FP16, FP32]))
@example(1 + 2**-11 + 2**-40, FP16)
def test_numpy_itself_gives_the_nearest_fp16_and_fp32(number, wanted):
    assert is_nearest(number, nearest(np.array(number), wanted)) or not number


@given(st.floats(-65000, 65000), st.integers(-(2**10), 2**10))
@example(1 + 2**-11, 1)
@example(1 + 2**-11, -1)
@example(2.0**-24 * 1.5, -1)
def test_a_long_double_becomes_the_nearest_fp16(number, ulps):
    """Of which NumPy makes FP64 on the way, where what is beside the half of two FP16 is lost."""
    long = np.longdouble(number) * (1 + ulps * np.finfo(np.longdouble).eps)
    exact = Fraction(*long.as_integer_ratio())
    assert is_nearest(exact, nearest(np.array(long), FP16)) or not exact


@given(st.integers(-(2**63), 2**63 - 1))
@example(2**62 + 2**54 + 1)
@example(-(2**62) - 2**54 - 1)
@example(2**62 + 2**54 - 1)
def test_an_integer_becomes_the_nearest_bf16(number):
    assert is_nearest(number, nearest(np.array(number), BF16)) or not number


def test_what_is_no_number_that_is_near_stays_so():
    assert nearest(np.array([np.inf, -np.inf, 1e300]), BF16).astype(FP64).tolist() == [np.inf, -np.inf, np.inf]
    assert np.isnan(nearest(np.array([np.nan]), BF16).astype(FP64)).all()


WHOLE = st.integers(-(2**70), 2**70) | st.integers(-(2**54), 2**54) | st.integers(2**63 - 3, 2**64 + 3)
NUMBERS = st.lists(WHOLE | st.floats() | st.booleans(), min_size=1)


@given(NUMBERS, st.sampled_from([name for name in DTYPES if name not in ("BYTES", "BOOL")]))
@example([2**53 + 1, 2.0], "INT64")
@example([12345678901234567891, 5], "UINT64")
@example([2**53 + 1, 0.5], "FP64")
@example([2.0**64, 2**64 - 1, 2**64], "UINT64")
def test_what_is_told_to_stay_is_equal_and_what_is_equal_is_told_so(numbers, datatype):
    there, kept = cast_each(numbers, DTYPES[datatype].numpy, rounding=False)
    wide = there.astype(FP64) if datatype == "BF16" else there
    for number, found, same in zip(numbers, wide.tolist(), kept, strict=True):
        if same:
            assert found == number or (np.isnan(found) and np.isnan(number))
        elif there.dtype.kind in "iu":
            limits = np.iinfo(there.dtype)
            assert not (limits.min <= number <= limits.max and int(number) == number)
        else:
            assert found != number


@pytest.mark.parametrize("dtype", [np.float16, BF16, np.float32, np.float64, np.longdouble])
def test_floats_of_each_kind_are_held_against_integers(dtype):
    there, kept = cast_array(np.array([3, 0.5, np.nan, -1], dtype), np.dtype(np.uint8), rounding=False)
    assert kept.tolist() == [True, False, False, False]
    assert there[0] == 3


def test_rounding_loses_digits_of_what_becomes_a_float_alone():
    assert cast_array(np.array([2**53 + 1]), FP64, rounding=True)[1].all()
    assert not cast_array(np.array([70000]), FP16, rounding=True)[1].any()
    assert not cast_array(np.array([0.5]), np.dtype(np.int8), rounding=True)[1].any()
    assert not cast_each([2**70 + 1, 10**400], FP64, rounding=True)[1].any()


def test_a_record_is_no_number():
    assert not cast_array(np.zeros(1, [("a", "f4")]), FP32, rounding=False)[1].any()
