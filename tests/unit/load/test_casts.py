"""Values that data have, as those of a tensor's type."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.input.casts import cast, unpromoted


@pytest.mark.parametrize(
    ("value", "datatype", "kept"),
    [
        (2.0, "INT64", 2),
        ([1, 2], "FP32", [1, 2]),
        ([2**64 - 1], "UINT64", [2**64 - 1]),
        (np.array([1, 2], object), "INT8", [1, 2]),
        (np.ones(2, ml_dtypes.bfloat16), "INT8", [1, 1]),
        ([True, False], "BOOL", [True, False]),
        ([1, 0.0], "BOOL", [True, False]),
        (0.1, "FP32", np.float32(0.1)),
        ([np.inf, -np.inf], "FP16", [np.inf, -np.inf]),
        ([Decimal("1.5")], "FP32", [1.5]),
        ([], "INT64", []),
        ([2**63, 1, 2, 3], "UINT64", [2**63, 1, 2, 3]),
        ([[2**53 + 1, 1.0]], "INT64", [[2**53 + 1, 1]]),
        ([Decimal(2**53 + 1), 1], "INT64", [2**53 + 1, 1]),
        ([2**63, 0.5], "FP64", [2.0**63, 0.5]),
        ([np.inf, 1], "FP32", [np.inf, 1]),
        ([True, 1, 0.0], "BOOL", [True, True, False]),
        (["a", b"b"], "BYTES", ["a", b"b"]),
        (np.array(["a"]), "BYTES", ["a"]),
        (np.array([b"a"]), "BYTES", [b"a"]),
    ],
    ids=str,
)
def test_what_a_type_has_is_taken(value: Any, datatype: str, kept: Any) -> None:
    assert cast(value, datatype).tolist() == (kept if isinstance(kept, list) else float(kept))


@pytest.mark.parametrize(
    ("value", "datatype", "reason"),
    [
        (1.7, "INT64", "1.7 is none of its values; it is a whole number"),
        ([1, np.nan], "INT64", "nan is none of its values; it is a whole number"),
        (2**63 + 5, "INT64", f"{2**63 + 5} is none of its values; it is {-(2**63)} to {2**63 - 1}"),
        ([2**64, 1], "INT64", f"{2**64} is none of its values; it is {-(2**63)} to {2**63 - 1}"),
        ([10**309, 1], "INT64", "0 is none of its values; it is "),
        ([2**63, -1], "INT64", f"{2**63} is none of its values; it is {-(2**63)} to {2**63 - 1}"),
        ([2.0**53, 2**53 + 1], "INT64", "9007199254740992.0 .* a whole number that is written as a float is below 2"),
        ([2**53 + 1, 0.5], "INT64", "0.5 is none of its values; it is a whole number"),
        ([1.5, True, 2, 3], "FP32", "True is no number"),
        ([True, 1, 2, 3], "UINT64", "True is no number"),
        ([[1, 2], [3, False]], "INT8", "False is no number"),
        ([2**63, True], "UINT64", "True is no number"),
        ([1, 2, "3", 4], "FP32", "'3' is no number"),
        (["a", 1.5], "FP32", "'a' is no number"),
        ([True, 2, 0.0], "BOOL", "2 is none of its values; it is true or false, or 0 or 1"),
        (1e30, "INT64", "1e\\+30 is none of its values"),
        (np.array([2**63], np.uint64), "INT64", f"{2**63} is none of its values"),
        (np.array([1, 256]), "UINT8", "256 is none of its values; it is 0 to 255"),
        (-1, "UINT8", "-1 is none of its values"),
        ([True], "INT32", "True is no number"),
        (2, "BOOL", "2 is none of its values; it is true or false, or 0 or 1"),
        (["true", "false"], "BOOL", "'true' is none of its values; it is true or false, or 0 or 1"),
        ([True, "no"], "BOOL", "'no' is none of its values; it is true or false, or 0 or 1"),
        ("0.5", "FP32", "'0.5' is no number"),
        ([1, None], "FP32", "null is no number"),
        ([{"a": 1}], "FP32", "{'a': 1} is no number"),
        (1e39, "FP32", "1e\\+39 is none of its values; it is too large"),
        (70000, "FP16", "70000 is none of its values; it is too large"),
        ([10**400], "FP64", "is too large"),
        ([Decimal("1e400")], "FP64", "is too large"),
        (np.array(["2020-01-01"], "M8[D]"), "INT64", "is no number"),
        ([[1], [2, 3]], "FP32", "inhomogeneous"),
        ([["a"], ["b", "c"]], "BYTES", r"\['a'\] is no text"),
        (["a", None], "BYTES", "null is no text"),
        (["a", 1], "BYTES", "1 is no text"),
        (["a", "b\ud800"], "BYTES", r"'\\ud800' is no character, .* half of a surrogate pair"),
        (np.array(["\udfff"]), "BYTES", "half of a surrogate pair"),
    ],
    ids=str,
)
def test_what_a_type_does_not_have_is_refused(value: Any, datatype: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        cast(value, datatype)


@given(
    st.lists(st.one_of(st.integers(-(2**66), 2**66), st.floats(), st.booleans(), st.none()), max_size=4),
    st.sampled_from(["INT8", "UINT8", "INT64", "UINT64"]),
)
def test_whole_numbers_are_the_same_or_refused(values: list[Any], datatype: str) -> None:
    try:
        found = cast(values, datatype).tolist()
    except ValueError:
        return
    assert found == values
    assert not any(isinstance(value, bool) for value in values)


@given(st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 9).map(float)), max_size=4))
def test_each_whole_number_of_a_type_is_taken_beside_any_other(values: list[int | float]) -> None:
    assert cast(values, "UINT64").tolist() == values


@pytest.mark.parametrize("value", [[0.5] * 3, [1, 2], [1, 0.5], [2**64 - 1] * 2, ["a", "b"], [True], np.ones(2), []])
def test_values_that_numpy_keeps_are_one_array_of_its_own(value: Any) -> None:
    assert unpromoted(value).dtype != object
    assert unpromoted(value).tolist() == list(value)
