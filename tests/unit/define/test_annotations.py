"""Annotations of tensors, read into specs."""

from __future__ import annotations

from typing import Any, Optional, Union

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32, Int64

from tritonforge import Bytes, String
from tritonforge.define.annotations import InexpressibleAnnotation, ParsedTensor, is_tensor, parse_tensor
from tritonforge.dtypes import DTYPES
from tritonforge.ir import ANONYMOUS, TensorSpec

NUMERIC = [dtype for dtype in DTYPES.values() if dtype.name != "BYTES"]


@pytest.mark.parametrize("dtype", NUMERIC, ids=str)
@pytest.mark.parametrize("batched", [True, False])
def test_every_data_type_is_read(dtype: Any, batched: bool) -> None:
    annotation = getattr(jaxtyping, dtype.annotation)[np.ndarray, "batch 20" if batched else "20"]
    assert parse_tensor("x", annotation) == ParsedTensor(TensorSpec("x", dtype.name, (20,)), batched)


def test_text_and_raw_strings_are_told_apart() -> None:
    assert parse_tensor("x", String[np.ndarray, "batch 1"]).spec == TensorSpec("x", "BYTES", (1,), text=True)
    assert parse_tensor("x", Bytes[np.ndarray, "batch 1"]).spec == TensorSpec("x", "BYTES", (1,), text=False)


@pytest.mark.parametrize(
    "annotation",
    [
        Float32[np.ndarray, "batch 3"] | None,
        Optional[Float32[np.ndarray, "batch 3"]],  # noqa: UP045 - users write both
        Union[None, Float32[np.ndarray, "batch 3"]],  # noqa: UP007
    ],
)
def test_none_makes_it_optional(annotation: Any) -> None:
    assert is_tensor(annotation)
    assert parse_tensor("x", annotation).spec == TensorSpec("x", "FP32", (3,), optional=True)


@pytest.mark.parametrize(
    ("dims", "batched", "wanted"),
    [
        ("batch", True, ()),
        ("batch 20", True, (20,)),
        ("batch seq 3", True, ("seq", 3)),
        ("20", False, (20,)),
        ("rows 20", False, ("rows", 20)),
        ("batch channels=3 height width", True, (3, "height", "width")),
        ("batch=4 20", False, (4, 20)),
        ("batch _ _", True, (ANONYMOUS, ANONYMOUS)),
        ("batch _rows", True, (ANONYMOUS,)),
        ("  batch   20 ", True, (20,)),
        ("größe", False, ("größe",)),
    ],
)
def test_dimensions_are_fixed_named_or_anonymous(dims: str, batched: bool, wanted: tuple[int | str, ...]) -> None:
    parsed = parse_tensor("x", Float32[np.ndarray, dims])
    assert (parsed.batched, parsed.spec.dims) == (batched, wanted)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ("batch ...", '"..." stands for any number of dimensions; a tensor\'s rank is fixed in Triton'),
        ("*batch 3", '"*batch" stands for any number of dimensions; a tensor\'s rank is fixed in Triton'),
        ("batch #n", '"#n" stands for a dimension that broadcasts; Triton has none'),
        ("batch n-1", '"n-1" stands for a computed dimension; Triton has fixed and variable ones only'),
        ("batch 0", "a dimension of 0; Triton's are at least 1"),
        ("n batch", '"n batch" has batch behind another dimension; Triton batches along the first one only'),
        ("batch batch", '"batch batch" has batch behind another dimension; Triton batches along the first one only'),
        ("", "a scalar without dimensions; Triton's tensors have at least one"),
    ],
)
def test_dimensions_that_triton_has_not_are_refused(dims: str, message: str) -> None:
    with pytest.raises(InexpressibleAnnotation) as raised:
        parse_tensor("x", Float32[np.ndarray, dims])
    assert raised.value.message == message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (int, "int is not a tensor"),
        (None, "None is not a tensor"),
        (np.ndarray, "ndarray is an array whose shape isn't said"),
        (
            np.ndarray[Any, np.dtype[np.int8]],
            "numpy.ndarray[Any, numpy.dtype[numpy.int8]] is an array whose shape isn't said",
        ),
        (list[int], "list[int] is not a tensor"),
        (jaxtyping.Float[np.ndarray, "batch"], "Float is not one of Triton's data types"),
        (jaxtyping.Complex128[np.ndarray, "batch"], "Complex128 is not one of Triton's data types"),
        (Float32[bytes, "batch"], 'Float32[bytes, "batch"] is an array of bytes; models take and give np.ndarray'),
        (Float32[np.ndarray, "a"] | Int64[np.ndarray, "a"] | None, None),
    ],
)
def test_what_is_no_tensor_of_tritons_is_refused(annotation: Any, message: str | None) -> None:
    with pytest.raises(InexpressibleAnnotation) as raised:
        parse_tensor("x", annotation)
    assert message is None or raised.value.message == message


def test_a_tensor_is_known_from_other_annotations() -> None:
    assert is_tensor(Float32[np.ndarray, "batch"])
    assert not is_tensor(float)
    assert not is_tensor(float | None)


DIMS = st.lists(st.one_of(st.integers(1, 2**31), st.sampled_from(["seq", "height", "n2", "_"])), max_size=5)


@given(st.sampled_from(NUMERIC), DIMS, st.booleans())
def test_what_is_written_is_what_is_read(dtype: Any, dims: list[int | str], batched: bool) -> None:
    if not dims and not batched:
        dims = [1]
    spelled = " ".join(map(str, (["batch"] if batched else []) + dims))
    parsed = parse_tensor("x", getattr(jaxtyping, dtype.annotation)[np.ndarray, spelled])
    assert parsed == ParsedTensor(TensorSpec("x", dtype.name, tuple(dims)), batched)
