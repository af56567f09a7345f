"""Requests as clients send them, and answers as they get them: what the server checks and reshapes around a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge import dtypes
from tritonforge.errors import TritonForgeError
from tritonforge.ir import Control, ModelConfig, TensorConfig
from tritonforge.testing import backend_utils
from tritonforge.testing.backend_utils import InferenceRequest, InferenceResponse, Tensor, TritonError

__all__ = ["ModelError", "answer", "request"]

_START, _END = (
    backend_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START,
    backend_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END,
)

Array = NDArray[Any]


class ModelError(TritonForgeError):
    """What a model answered a request with: the message, and one of Triton's codes: `INVALID_ARG`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def request(
    config: ModelConfig,
    inputs: Mapping[str, Any],
    *,
    correlation_id: int | str = 0,
    flags: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> InferenceRequest:
    """Make the request that a model gets of what a client sends.

    Raises:
        ModelError: the server would refuse it: an input is missing, unknown, or of another data type or shape.
    """
    fault = next(_faults(config, inputs, correlation_id), "")
    if fault:
        raise ModelError(fault, "INVALID_ARG")
    batch = 1 if config.max_batch_size else 0
    known = {tensor.name: tensor for tensor in config.inputs}
    shaped = {  # copies: what comes over the wire is nobody else's
        name: (_reshaped(array, known[name].dims, known[name].reshape, batch) if name in known else array).copy()
        for name, array in inputs.items()
    }
    tensors = [*InferenceRequest.tensors(shaped), *_controls(config, correlation_id, flags)]
    told = json.dumps(dict(parameters or {}))
    return InferenceRequest(inputs=tensors, correlation_id=correlation_id, flags=flags, parameters=told)


def answer(config: ModelConfig, response: InferenceResponse) -> dict[str, Any] | ModelError:
    """Give a response's outputs by name, in the shapes that clients get; or its error."""
    error = response.error()
    if error is not None:
        codes = {value: name for name, value in vars(TritonError).items() if name.isupper()}
        return ModelError(error.message(), codes[error.code()])
    batch = 1 if config.max_batch_size else 0
    known = {tensor.name: tensor for tensor in config.outputs}
    outputs = {}
    for tensor in response.output_tensors():
        array, entry = _array(tensor), known.get(tensor.name())
        if entry is not None and entry.reshape is not None:
            array = _reshaped(array, entry.reshape, entry.dims, batch)
        outputs[tensor.name()] = array
    return outputs


def _faults(config: ModelConfig, inputs: Mapping[str, Any], correlation_id: int | str) -> Iterator[str]:
    """Say what the server refuses, in its words (24.10)."""
    name = config.name
    if not config.inputs:
        return  # the model completes its configuration itself
    if config.sequence_batching is not None and not correlation_id:
        yield f"inference request to model '{name}' must specify a non-zero or non-empty correlation ID"
    known = {tensor.name: tensor for tensor in config.inputs}
    for unknown in (given for given in inputs if given not in known):
        yield f"unexpected inference input '{unknown}' for model '{name}'"
    required = [key for key, tensor in known.items() if not tensor.optional]
    if len(inputs) < len(required):  # it counts them; the runtime knows which
        several = f"number of inputs between {len(required)} and {len(known)}"
        wanted = f"{len(known)} inputs" if len(required) == len(known) else several
        missing = [key for key in required if key not in inputs]
        yield (
            f"expected {wanted} but got {len(inputs)} inputs for model '{name}'. Got input(s) {_listed(inputs)}, "
            f"but missing required input(s) {_listed(missing)}. Please provide all required input(s)."
        )
    for key, value in inputs.items():
        yield from _misfits(config, known[key], value)
    first = next(iter(inputs), "")
    for key in inputs if config.max_batch_size else ():
        if len(inputs[key]) != len(inputs[first]):
            yield f"input '{key}' batch size does not match other inputs for '{name}'"
    if config.max_batch_size and not inputs and config.sequence_batching is None:
        yield "out of bounds index 0: request has 0 inputs"  # of the Python backend, which takes the rows from that one
    if config.sequence_batching is not None and config.max_batch_size and inputs and len(inputs[first]) != 1:
        yield f"inference request to model '{name}' must specify batch-size 1 due to requirements of sequence batcher"


def _listed(names: Iterable[str]) -> str:
    return f"[{','.join(map(repr, names))}]"


def _misfits(config: ModelConfig, tensor: TensorConfig, value: object) -> Iterator[str]:
    if not isinstance(value, np.ndarray):
        yield f"inference input '{tensor.name}' is a {type(value).__name__}; give an np.ndarray"
        return
    found = "BYTES" if value.dtype.kind == "S" else getattr(dtypes.from_numpy(value.dtype), "name", str(value.dtype))
    wanted = tensor.data_type.removeprefix("TYPE_").replace("STRING", "BYTES")
    if found != wanted:
        yield f"inference input '{tensor.name}' data-type is '{found}', but model '{config.name}' expects '{wanted}'"
    expected = [*([-1] if config.max_batch_size else []), *tensor.dims]
    fits = len(expected) == value.ndim and all(
        size in (-1, there) for size, there in zip(expected, value.shape, strict=True)
    )
    if not fits:
        spelled = ",".join(map(str, expected)), ",".join(map(str, value.shape))
        yield (
            f"unexpected shape for input '{tensor.name}' for model '{config.name}'. "
            f"Expected [{spelled[0]}], got [{spelled[1]}]."
        )
    elif config.max_batch_size and len(value) > config.max_batch_size:
        yield f"inference request batch-size must be <= {config.max_batch_size} for '{config.name}'"


def _reshaped(array: Array, dims: Iterable[int], to: tuple[int, ...] | None, batch: int) -> Array:
    """Give an array of the dimensions `dims` those of `to`, where its variable ones are the same, in order."""
    if to is None:
        return array
    sizes = iter([there for size, there in zip(dims, array.shape[batch:], strict=True) if size < 0])
    return array.reshape(array.shape[:batch] + tuple(next(sizes) if size < 0 else size for size in to))


def _controls(config: ModelConfig, correlation_id: int | str, flags: int) -> Iterator[Tensor]:
    """Give the tensors that the sequence batcher adds."""
    if config.sequence_batching is None:
        return
    shape = (1, 1) if config.max_batch_size else (1,)
    for entry in config.sequence_batching.control_inputs:
        for control in entry.controls:
            if control.kind == "CONTROL_SEQUENCE_CORRID":
                kind = control.data_type.removeprefix("TYPE_").replace("STRING", "BYTES")
                told = correlation_id if isinstance(correlation_id, int) or kind == "BYTES" else 0
                yield Tensor(entry.name, np.full(shape, told, dtypes.DTYPES[kind].numpy))
            else:
                yield Tensor(entry.name, _flag(control, flags, shape))


def _flag(control: Control, flags: int, shape: tuple[int, ...]) -> Array:
    meant = {"CONTROL_SEQUENCE_START": bool(flags & _START), "CONTROL_SEQUENCE_END": bool(flags & _END)}
    number = int(meant.get(control.kind, True))
    if control.int32_false_true:
        return np.full(shape, control.int32_false_true[number], np.int32)
    if control.fp32_false_true:
        return np.full(shape, control.fp32_false_true[number], np.float32)
    return np.full(shape, (control.bool_false_true or (False, True))[number], np.bool_)


def _array(tensor: Tensor) -> Any:
    if tensor.datatype != "BF16":
        return tensor.as_numpy()
    import ml_dtypes

    return tensor.given.view(ml_dtypes.bfloat16)
