"""BF16 tensors, which the Python backend gives and takes by DLPack only, and NumPy's DLPack refuses.

A BF16 tensor is passed as UINT16, which differs in one field: the type code in the `DLManagedTensor` that a DLPack
capsule points to. (Seen with the Python backend of Triton 24.10: `as_numpy` raises "Tensor dtype is BF16 and cannot be
converted to NumPy"; NumPy 1.26 knows no such code.)
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np

from .batch import Array
from .errors import LoadError

__all__ = ["from_triton", "require", "to_triton"]

# In the struct: void *data; int32 device_type, device_id; int32 ndim; uint8 code, bits; uint16 lanes; …
_CODE_OFFSET = 20
_UINT = 1
_BFLOAT = 4

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Exporter:
    """An object that NumPy asks for the capsule it holds."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_options: object) -> object:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def require(tensor: str) -> None:
    """Make sure that BF16 can be served.

    Raises:
        LoadError: ml_dtypes is not installed; the message names the tensor.
    """
    try:
        importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise LoadError(
            f'"{tensor}" is BF16, which needs the package ml_dtypes in the Python that Triton runs: {error}'
        ) from error


def from_triton(tensor: Any) -> Array:
    """Read a BF16 `pb_utils.Tensor` as an array of `ml_dtypes.bfloat16`."""
    import ml_dtypes

    capsule = tensor.to_dlpack()
    _set_code(capsule, _UINT)
    # Copied, as `as_numpy` gives a copy too: the memory is Triton's, and may be used again after the request.
    return np.from_dlpack(_Exporter(capsule)).copy().view(ml_dtypes.bfloat16)


def to_triton(tensor_type: Any, name: str, array: Array) -> Any:
    """Make a BF16 `pb_utils.Tensor` of an array of `ml_dtypes.bfloat16`."""
    # By way of a tensor of Triton's own: renaming a capsule of NumPy's, as Triton does, sends NumPy 1.26 into an
    # endless loop when the capsule is freed.
    capsule = tensor_type(name, np.ascontiguousarray(array).view(np.uint16)).to_dlpack()
    _set_code(capsule, _BFLOAT)
    return tensor_type.from_dlpack(name, capsule)


def _set_code(capsule: object, code: int) -> None:
    ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET).value = code
