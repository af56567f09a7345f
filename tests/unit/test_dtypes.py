"""The table of data types, held against the libraries whose names it has."""

from __future__ import annotations

import jaxtyping
import ml_dtypes
import numpy as np
import onnx
import pytest
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from tritonforge import dtypes
from tritonforge.dtypes import DTYPES, DType

ALL = pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
NUMERIC = pytest.mark.parametrize("dtype", [one for one in DTYPES.values() if one.name != "BYTES"], ids=str)


@ALL
def test_every_name_finds_its_data_type(dtype: DType) -> None:
    assert DTYPES[dtype.name] is dtype
    assert dtypes.from_annotation(dtype.annotation) is dtype
    assert dtypes.from_config(dtype.config) is dtype
    assert dtypes.from_onnx(dtype.onnx) is dtype
    assert dtypes.from_numpy(dtype.numpy) is dtype


@ALL
def test_config_names_are_those_of_tritons_schema(dtype: DType) -> None:
    assert model_config_pb2.DataType.Value(dtype.config)


def test_the_whole_schema_is_covered() -> None:
    assert {dtype.config for dtype in DTYPES.values()} == set(model_config_pb2.DataType.keys()) - {"TYPE_INVALID"}


@ALL
def test_onnx_numbers_are_those_of_onnx(dtype: DType) -> None:
    found = onnx.helper.tensor_dtype_to_np_dtype(dtype.onnx)
    assert found == dtype.numpy
    assert onnx.TensorProto.DataType.Name(dtype.onnx)


@NUMERIC
def test_item_sizes_are_numpys(dtype: DType) -> None:
    assert dtype.numpy.itemsize == dtype.itemsize


def test_bytes_have_no_size() -> None:
    assert DTYPES["BYTES"].itemsize == 0


@ALL
def test_annotations_are_jaxtypings_where_it_has_them(dtype: DType) -> None:
    if dtype.name != "BYTES":
        assert hasattr(jaxtyping, dtype.annotation)


@pytest.mark.parametrize("dtype", [one for one in DTYPES.values() if one.name != "BF16"], ids=str)
def test_tritonclient_agrees(dtype: DType) -> None:
    assert np_to_triton_dtype(dtype.numpy) == dtype.name
    assert np.dtype(triton_to_np_dtype(dtype.name)) == dtype.numpy


@NUMERIC
def test_torch_has_the_type_under_that_name(dtype: DType) -> None:
    torch = pytest.importorskip("torch")
    assert isinstance(getattr(torch, str(dtype.torch)), torch.dtype)


def test_bf16_is_ml_dtypes() -> None:
    assert DTYPES["BF16"].numpy == np.dtype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("kind", ["O", "S4", "U4"])
def test_strings_of_every_kind_are_bytes(kind: str) -> None:
    assert dtypes.from_numpy(np.dtype(kind)) is DTYPES["BYTES"]


def test_raw_strings_are_bytes_too() -> None:
    assert dtypes.from_annotation("Bytes") is DTYPES["BYTES"]


@pytest.mark.parametrize("name", ["Float", "Complex64", "Int4", "", "float32"])
def test_annotations_that_triton_has_not(name: str) -> None:
    assert dtypes.from_annotation(name) is None


@pytest.mark.parametrize("name", ["complex64", "datetime64[s]", "longdouble"])
def test_numpy_types_that_triton_has_not(name: str) -> None:
    assert dtypes.from_numpy(np.dtype(name)) is None


def test_numbers_and_names_that_triton_has_not() -> None:
    assert dtypes.from_onnx(onnx.TensorProto.COMPLEX64) is None
    assert dtypes.from_onnx(0) is None
    assert dtypes.from_config("TYPE_INVALID") is None


def test_a_data_type_is_read_as_its_protocol_name() -> None:
    assert str(DTYPES["FP32"]) == "FP32"
