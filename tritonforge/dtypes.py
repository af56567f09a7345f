"""The data types that Triton has, by each of their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DTYPES", "DType", "from_annotation", "from_config", "from_numpy", "from_onnx"]


@dataclass(frozen=True, slots=True)
class DType:
    """One data type under the names that Triton's protocol, config.pbtxt, NumPy, jaxtyping, ONNX and torch give it.

    `itemsize` is in bytes; 0 for BYTES, whose elements vary. `onnx` is the number in ONNX's `TensorProto.DataType`.
    """

    name: str
    numpy_name: str
    annotation: str
    onnx: int
    torch: str | None
    itemsize: int

    @property
    def config(self) -> str:
        """The name in config.pbtxt: `TYPE_FP32`; BYTES is `TYPE_STRING` there."""
        return "TYPE_STRING" if self.name == "BYTES" else f"TYPE_{self.name}"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy type of arrays that hold it: `object` for BYTES, `ml_dtypes.bfloat16` for BF16."""
        import numpy as np

        if self.name == "BF16":
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(self.numpy_name)

    def __str__(self) -> str:
        return self.name


DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        DType("BOOL", "bool", "Bool", 9, "bool", 1),
        DType("UINT8", "uint8", "UInt8", 2, "uint8", 1),
        DType("UINT16", "uint16", "UInt16", 4, "uint16", 2),
        DType("UINT32", "uint32", "UInt32", 12, "uint32", 4),
        DType("UINT64", "uint64", "UInt64", 13, "uint64", 8),
        DType("INT8", "int8", "Int8", 3, "int8", 1),
        DType("INT16", "int16", "Int16", 5, "int16", 2),
        DType("INT32", "int32", "Int32", 6, "int32", 4),
        DType("INT64", "int64", "Int64", 7, "int64", 8),
        DType("FP16", "float16", "Float16", 10, "float16", 2),
        DType("FP32", "float32", "Float32", 1, "float32", 4),
        DType("FP64", "float64", "Float64", 11, "float64", 8),
        DType("BF16", "bfloat16", "BFloat16", 16, "bfloat16", 2),
        DType("BYTES", "object", "String", 8, None, 0),
    )
}
"""Every data type of Triton's protocol, by its name there (`FP32`, `BYTES`)."""

_BY_ANNOTATION = {dtype.annotation: dtype for dtype in DTYPES.values()} | {"Bytes": DTYPES["BYTES"]}
_BY_CONFIG = {dtype.config: dtype for dtype in DTYPES.values()}
_BY_NUMPY = {dtype.numpy_name: dtype for dtype in DTYPES.values()}
_BY_ONNX = {dtype.onnx: dtype for dtype in DTYPES.values()}


def from_annotation(name: str) -> DType | None:
    """Find the data type of a jaxtyping class name (`Float32`, `String`); None where Triton has none."""
    return _BY_ANNOTATION.get(name)


def from_config(name: str) -> DType | None:
    """Find the data type of a name in config.pbtxt (`TYPE_FP32`); None where there is none."""
    return _BY_CONFIG.get(name)


def from_onnx(number: int) -> DType | None:
    """Find the data type of an ONNX element type number; None where Triton has none (complex, FP8, …)."""
    return _BY_ONNX.get(number)


def from_numpy(dtype: np.dtype[np.generic]) -> DType | None:
    """Find the data type of a NumPy dtype: strings of every kind are BYTES; None where Triton has none."""
    if dtype.kind in "OSU":
        return DTYPES["BYTES"]
    return _BY_NUMPY.get(dtype.name)
