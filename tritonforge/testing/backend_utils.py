"""A stand-in for `triton_python_backend_utils`, which Triton gives a model.py, as the real one was seen to be.

Seen with Triton 24.10: BYTES tensors hold `bytes`; elements that are exactly `bytes` are sent as they are, all others
as their `str()`; NumPy's `U` arrays are refused; `as_numpy` refuses BF16, which goes by DLPack only. An error's message
that can't be UTF-8 is refused, and cut at a NUL.
"""

from __future__ import annotations

import copy
import ctypes
import json
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.testing.metric_families import Metric, MetricFamily, TritonModelException

__all__ = [
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "Metric",
    "MetricFamily",
    "PreferredMemory",
    "ResponseSender",
    "Tensor",
    "TritonError",
    "TritonModelException",
]

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
TRITONSERVER_MEMORY_CPU, TRITONSERVER_MEMORY_GPU = 0, 2

Array = NDArray[Any]

_KINDS = {dtype.numpy_name: name for name, dtype in DTYPES.items() if name != "BF16"}
_one_call = threading.RLock()
"""Held while another model runs: what a loaded one changes in the process must not mix with another's."""
_CODE_OFFSET = 20
_BFLOAT = 4
_UINT = 1
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class TritonError:
    """An error response's content."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS, CANCELLED = range(8)

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        try:
            message.encode()
        except (AttributeError, UnicodeEncodeError):
            raise TypeError("__init__(): incompatible constructor arguments.") from None
        self._message = message.partition("\0")[0]
        self._code = code

    def message(self) -> str:
        """Give the text."""
        return self._message

    def code(self) -> int:
        """Give the code: one of this class's constants."""
        return self._code


class Tensor:
    """A named array."""

    def __init__(self, name: str, array: Array) -> None:
        kind = "BYTES" if array.dtype.kind == "S" else _KINDS.get(array.dtype.name)
        if kind is None or array.dtype.byteorder == ">":
            raise TritonModelException("NumPy dtype is not supported.")
        self._name = name
        self.datatype = kind
        self.given = array
        self._array = _serialized(array) if kind == "BYTES" else np.ascontiguousarray(array)

    def name(self) -> str:
        """Give the name."""
        return self._name

    def sent(self) -> Tensor:
        """Give it as it is now, in memory of its own, as what is sent is."""
        made = copy.copy(self)
        made.given, made._array = self.given.copy(), self._array.copy()
        return made

    def shape(self) -> list[int]:
        """Give the shape, with the batch."""
        return list(self._array.shape)

    def triton_dtype(self) -> int:
        """Give the number of the data type."""
        return ["INVALID", *DTYPES].index(self.datatype)

    def is_cpu(self) -> bool:
        """Say where it is."""
        return True

    def as_numpy(self) -> Array:
        """Give the array; BYTES as objects of `bytes`."""
        if self.datatype == "BF16":
            raise TritonModelException("Tensor dtype is BF16 and cannot be converted to NumPy.")
        return self._array

    def to_dlpack(self) -> Any:
        """Give a DLPack capsule."""
        capsule = self._array.copy().__dlpack__()
        if self.datatype == "BF16":
            ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET).value = _BFLOAT
        return capsule

    @classmethod
    def from_dlpack(cls, name: str, capsule: Any) -> Tensor:
        """Make one of a DLPack capsule, or of what gives one."""
        capsule = capsule.__dlpack__() if hasattr(capsule, "__dlpack__") else capsule
        code = ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET)
        brain = code.value == _BFLOAT
        code.value = _UINT if brain else code.value

        class Exporter:
            def __dlpack__(self, *, stream: None = None) -> Any:
                return capsule

        tensor = cls(name, np.from_dlpack(Exporter()))
        tensor.datatype = "BF16" if brain else tensor.datatype
        return tensor


class InferenceResponse:
    """One response: tensors, or an error."""

    def __init__(self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None) -> None:
        self._tensors = list(output_tensors)
        self._error = error

    def output_tensors(self) -> list[Tensor]:
        """Give the tensors."""
        return self._tensors

    def sent(self) -> InferenceResponse:
        """Give it as it is now."""
        return InferenceResponse([tensor.sent() for tensor in self._tensors], self._error)

    def has_error(self) -> bool:
        """Say whether it is an error."""
        return self._error is not None

    def error(self) -> TritonError | None:
        """Give the error, if it is one."""
        return self._error


class ResponseSender:
    """Keeps what a decoupled model sends, in order; `finished` is set by the final flag."""

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self.responses: list[InferenceResponse] = []
        self.finals = 0
        self.finished = threading.Event()
        self.is_cancelled = is_cancelled

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response, or the final flag, or both."""
        if self.finals:
            raise TritonModelException("Unable to send response. Response sender has been closed.")
        if response is not None:
            self.responses.append(response.sent())
        self.finals += flags & TRITONSERVER_RESPONSE_COMPLETE_FINAL
        if self.finals:
            self.finished.set()


class PreferredMemory:
    """Where a caller wants the outputs of a model that it calls; here they are always on the CPU."""

    def __init__(self, preferred_memory_type: int, preferred_device_id: int = 0) -> None:
        self.memory_type = preferred_memory_type
        self.device_id = preferred_device_id


class InferenceRequest:
    """One request: its tensors, in any order. Of another model's, that `models` has, it can be executed.

    `arguments` has, by model, the argument that takes the request's parameters.
    """

    models: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    arguments: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        *,
        model_name: str = "",
        inputs: Iterable[Tensor] = (),
        request_id: str = "",
        correlation_id: int | str = 0,
        flags: int = 0,
        timeout: int = 0,
        parameters: str | Mapping[str, bool | int | float | str] = "{}",
        requested_output_names: Iterable[str] = (),
        is_cancelled: Callable[[], bool] = lambda: False,
        **_more: object,
    ) -> None:
        """Make a request; its `parameters` are what it says beside the tensors: the runtime looks for that word."""
        self._model = model_name
        self._tensors = list(inputs)
        text = parameters if isinstance(parameters, str) else json.dumps(dict(parameters))
        self._told = (request_id, correlation_id, flags, timeout, text, list(requested_output_names))
        self.is_cancelled = is_cancelled
        self.sender = ResponseSender(is_cancelled)

    @staticmethod
    def tensors(arrays: Mapping[str, Array]) -> list[Tensor]:
        """Make tensors of arrays by name, of `ml_dtypes.bfloat16` also."""
        return [
            Tensor.from_dlpack(name, _brain_capsule(array)) if array.dtype.name == "bfloat16" else Tensor(name, array)
            for name, array in arrays.items()
        ]

    def inputs(self) -> list[Tensor]:
        """Give the tensors."""
        return self._tensors

    def request_id(self) -> str:
        """Give the client's name for the request."""
        return self._told[0]

    def correlation_id(self) -> int | str:
        """Give the sequence that it is of; 0 for none."""
        return self._told[1]

    def flags(self) -> int:
        """Give the flags: whether it starts or ends its sequence."""
        return self._told[2]

    def timeout(self) -> int:
        """Give how long it may take, in microseconds."""
        return self._told[3]

    def parameters(self) -> str:
        """Give the client's parameters as JSON."""
        return self._told[4]

    def requested_output_names(self) -> list[str]:
        """Give the outputs that the client wants."""
        return self._told[5]

    def get_response_sender(self) -> ResponseSender:
        """Give what a decoupled model answers by."""
        return self.sender

    def exec(self, **_options: object) -> InferenceResponse:
        """Call the stand-in of another model.

        Raises:
            TritonModelException: there is none.
        """
        if self._model not in self.models:
            raise TritonModelException(
                f'"{self._model}" isn\'t here: tritonforge.testing runs one model. Give a function in its place, '
                f'load_model(…, models={{"{self._model}": function}}), or take a server'
            )
        with _one_call:
            try:
                inputs = {tensor.name(): tensor.sent().as_numpy() for tensor in self._tensors}
                given = self._named(self.models[self._model](**inputs, **self._said()))
                return InferenceResponse([Tensor(name, array) for name, array in given.items()]).sent()
            except Exception as error:  # a stand-in's own, as another model's
                code = getattr(TritonError, str(getattr(error, "code", "")), TritonError.INTERNAL)
                return InferenceResponse(error=TritonError(str(error), code))

    async def async_exec(self, **options: object) -> InferenceResponse:
        """Call it as `exec` does."""
        return self.exec(**options)

    def _said(self) -> dict[str, Any]:
        """Give what the runtime says to another model beside the tensors, as the argument that takes it."""
        said = json.loads(self.parameters()).get("tritonforge_parameters")
        return {self.arguments[self._model]: json.loads(said)} if said and self._model in self.arguments else {}

    def _named(self, given: Any) -> Mapping[str, Array]:
        """Give a stand-in's result by name: as it is, or its only array by the name of the one output that is asked."""
        names = self._told[5]
        if isinstance(given, Mapping):
            return given
        if isinstance(given, np.ndarray) and len(names) == 1:
            return {names[0]: given}
        raise TypeError(f'the function for "{self._model}" gave a {type(given).__name__}; wanted a dict of arrays')


class Logger:
    """Writes to standard error, as the server's log does."""

    @staticmethod
    def _write(level: str, message: str) -> None:
        sys.stderr.write(f"{level} {message}\n")

    LOG = log = log_info = classmethod(lambda cls, message: cls._write("I", message))
    log_warn = classmethod(lambda cls, message: cls._write("W", message))
    log_error = classmethod(lambda cls, message: cls._write("E", message))
    log_verbose = classmethod(lambda cls, message: None)


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    """Find an input of a request."""
    return next((tensor for tensor in request.inputs() if tensor.name() == name), None)


def get_output_tensor_by_name(response: InferenceResponse, name: str) -> Tensor | None:
    """Find an output of a response."""
    return next((tensor for tensor in response.output_tensors() if tensor.name() == name), None)


def get_input_config_by_name(config: Mapping[str, Any], name: str) -> Any:
    """Find an input in a configuration."""
    return next((entry for entry in config.get("input", ()) if entry["name"] == name), None)


def get_output_config_by_name(config: Mapping[str, Any], name: str) -> Any:
    """Find an output in a configuration."""
    return next((entry for entry in config.get("output", ()) if entry["name"] == name), None)


def using_decoupled_model_transaction_policy(config: Mapping[str, Any]) -> bool:
    """Say whether a configuration is of a decoupled model."""
    return bool(config.get("model_transaction_policy", {}).get("decoupled", False))


def triton_string_to_numpy(name: str) -> Any:
    """Give the NumPy type of a data type by its name in config.pbtxt: `TYPE_FP32`."""
    short = name.removeprefix("TYPE_").replace("STRING", "BYTES")
    return np.object_ if short == "BYTES" else DTYPES[short].numpy.type


def _serialized(array: Array) -> Array:
    result = np.empty(array.shape, dtype=object)
    items = array.astype(object).ravel().tolist()
    result.reshape(-1)[:] = [item if type(item) is bytes else str(item).encode() for item in items]
    return result


def _brain_capsule(array: Array) -> Any:
    capsule = array.view(np.uint16).__dlpack__()
    ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _CODE_OFFSET).value = _BFLOAT
    return capsule
