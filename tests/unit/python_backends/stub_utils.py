"""A stand-in for `triton_python_backend_utils`, for tests without Triton; it behaves as the real one was seen to.

Seen with Triton 24.10: BYTES tensors hold `bytes`; elements that are exactly `bytes` are sent as they are, all others
as their `str()`; NumPy's `U` arrays are refused; `as_numpy` gives a copy and refuses BF16, which goes by DLPack only.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1

_KINDS = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "object": "BYTES",
}

_CODE_OFFSET = 20
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class TritonModelException(Exception):
    """What the real module raises."""


class TritonError:
    """An error response's content."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS, CANCELLED = range(8)

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        self._message = message
        self._code = code

    def message(self) -> str:
        return self._message

    def code(self) -> int:
        return self._code


class Tensor:
    """A named array."""

    def __init__(self, name: str, array: np.ndarray[Any, Any]) -> None:
        kind = "BYTES" if array.dtype.kind == "S" else _KINDS.get(array.dtype.name)
        if kind is None or array.dtype.byteorder == ">":
            raise TritonModelException("NumPy dtype is not supported.")
        self._name = name
        self.datatype = kind
        self.given = array
        self._array = _serialized(array) if kind == "BYTES" else np.ascontiguousarray(array)

    def name(self) -> str:
        return self._name

    def shape(self) -> list[int]:
        return list(self._array.shape)

    def as_numpy(self) -> np.ndarray[Any, Any]:
        if self.datatype == "BF16":
            raise TritonModelException("Tensor dtype is BF16 and cannot be converted to NumPy.")
        return self._array

    def to_dlpack(self) -> Any:
        capsule = self._array.copy().__dlpack__()
        if self.datatype == "BF16":
            ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET).value = 4
        return capsule

    @classmethod
    def from_dlpack(cls, name: str, capsule: Any) -> Tensor:
        code = ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET)
        brain = code.value == 4
        code.value = 1 if brain else code.value

        class Exporter:
            def __dlpack__(self) -> Any:
                return capsule

        tensor = cls(name, np.from_dlpack(Exporter()))
        tensor.datatype = "BF16" if brain else tensor.datatype
        return tensor


class Metric:
    """One series."""

    def __init__(self, kind: int, buckets: list[float] | None) -> None:
        self.kind = kind
        self.buckets = buckets
        self.observed: list[float] = []
        self._value = 0.0

    def increment(self, value: float) -> None:
        if self.kind == MetricFamily.COUNTER and value < 0:
            raise TritonModelException("TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically")
        self._value += value

    def set(self, value: float) -> None:
        if self.kind != MetricFamily.GAUGE:
            raise TritonModelException("Unsupported metric kind")
        self._value = value

    def observe(self, value: float) -> None:
        if self.kind != MetricFamily.HISTOGRAM:
            raise TritonModelException("Unsupported metric kind")
        self.observed.append(value)

    def value(self) -> float:
        return self._value


class MetricFamily:
    """Series of one name; `all` keeps every series of every family by its name and labels, as the server does."""

    COUNTER, GAUGE, HISTOGRAM = range(3)
    all: ClassVar[dict[tuple[str, str], Metric]] = {}
    kinds: ClassVar[dict[str, int]] = {}

    def __init__(self, name: str, description: str, kind: int) -> None:
        if self.kinds.setdefault(name, kind) != kind:
            raise TritonModelException("Family name already exists with different type")
        self.name = name
        self.kind = kind

    def Metric(self, labels: dict[str, str], buckets: list[float] | None = None) -> Metric:
        if (buckets is not None) != (self.kind == 2):
            raise TritonModelException("only histograms have buckets")
        return self.all.setdefault((self.name, json.dumps(labels, sort_keys=True)), Metric(self.kind, buckets))


class InferenceResponse:
    """One response: tensors, or an error."""

    def __init__(self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None) -> None:
        self._tensors = list(output_tensors)
        self._error = error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error


class ResponseSender:
    """Keeps what a decoupled model sends, in order."""

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self.responses: list[InferenceResponse] = []
        self.finals = 0
        self.is_cancelled = is_cancelled

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        if self.finals:
            raise TritonModelException("Unable to send response. Response sender has been closed.")
        if response is not None:
            self.responses.append(response)
        self.finals += flags & TRITONSERVER_RESPONSE_COMPLETE_FINAL


class InferenceRequest:
    """One request: its tensors, in any order."""

    def __init__(
        self,
        *,
        is_cancelled: Callable[[], bool] = lambda: False,
        correlation_id: int | str = 0,
        flags: int = 0,
        **arrays: np.ndarray[Any, Any],
    ) -> None:
        self._correlation_id = correlation_id
        self._flags = flags
        self._tensors = [
            Tensor.from_dlpack(name, _brain_capsule(array)) if array.dtype.name == "bfloat16" else Tensor(name, array)
            for name, array in arrays.items()
        ]
        self.is_cancelled = is_cancelled
        self.sender = ResponseSender(is_cancelled)

    def inputs(self) -> list[Tensor]:
        return self._tensors

    def correlation_id(self) -> int | str:
        return self._correlation_id

    def flags(self) -> int:
        return self._flags

    def get_response_sender(self) -> ResponseSender:
        return self.sender


def tensor(name: str, datatype: str, dims: Sequence[int], **more: Any) -> dict[str, Any]:
    """An `input` or `output` of a configuration as Triton's JSON has it."""
    kind = "STRING" if datatype == "BYTES" else datatype
    return {"name": name, "data_type": f"TYPE_{kind}", "dims": list(dims), **more}


def arguments(
    inputs: Sequence[dict[str, Any]],
    outputs: Sequence[dict[str, Any]],
    *,
    folder: Path = Path(),
    max_batch_size: int = 8,
    decoupled: bool = False,
    **more: Any,
) -> dict[str, str]:
    """What Triton hands to `initialize`."""
    config = {
        "name": "fraud",
        "max_batch_size": max_batch_size,
        "input": list(inputs),
        "output": list(outputs),
        "parameters": {},
        "optimization": {},
        "default_model_filename": "model.py",
        **more,
    }
    if decoupled:
        config["model_transaction_policy"] = {"decoupled": True}
    return {
        "model_config": json.dumps(config),
        "model_name": "fraud",
        "model_repository": str(folder),
        "model_version": "1",
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
    }


def outputs(response: InferenceResponse) -> dict[str, Any]:
    """Give a response's arrays by name; raise its error."""
    error = response.error()
    assert error is None, error.message()
    return {each.name(): each.as_numpy() for each in response.output_tensors()}


def message(response: InferenceResponse) -> str:
    """Give a response's error message."""
    error = response.error()
    assert error is not None
    return error.message()


def code(response: InferenceResponse) -> int:
    """Give a response's error code."""
    error = response.error()
    assert error is not None
    return error.code()


def install() -> None:
    """Put this module where the runtime looks for Triton's."""
    real: ModuleType = sys.modules[__name__]
    sys.modules["triton_python_backend_utils"] = real


def _serialized(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result = np.empty(array.shape, dtype=object)
    items = array.astype(object).ravel().tolist()
    result.reshape(-1)[:] = [item if type(item) is bytes else str(item).encode() for item in items]
    return result


def _brain_capsule(array: np.ndarray[Any, Any]) -> Any:
    capsule = array.view(np.uint16).__dlpack__()
    ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET).value = 4
    return capsule
