"""Between Triton's objects and arrays: the one module that knows `triton_python_backend_utils`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import triton_python_backend_utils as pb_utils

from . import bfloat16, strings
from .batch import Array, Inputs, RequestParameters, split
from .errors import CODES, Refused, TritonError
from .messages import sendable
from .spec import ModelSpec, TensorSpec

__all__ = ["ENDS", "STARTS", "Exchange", "Passing", "Request", "Response", "Sender", "Wire"]

STARTS: int = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START
ENDS: int = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END
"""Flags of a sequence's requests."""

Request = Any
Response = Any
Sender = Any
"""Triton's own objects, which have no types."""

_ASKS = "tritonforge_codes"
"""The parameter of a request from another model that wants error codes in messages: Triton 24.10 hands every error of
such a request on as INTERNAL. Parameters travel through ensembles, too."""

_SAYS = "tritonforge_parameters"
"""The parameter of a request from another model that has, as JSON, all that it says: Triton takes no float there."""

_CODED = re.compile(r"tritonforge_code=([A-Z_]+); ")


class Passing(NamedTuple):
    """Reads the tensor of the one input, writes that of the one output, and makes a response of a list of tensors."""

    read: Callable[[Any], Array]
    write: Callable[[Array], Any]
    make: Callable[[list[Any]], Response]


class Wire:
    """Reads the requests of one model and makes its responses. Costs nothing that can be worked out beforehand."""

    def __init__(self, spec: ModelSpec, text: Collection[str]) -> None:
        self._response = pb_utils.InferenceResponse
        self._error = pb_utils.TritonError
        readers = [_reader(tensor, text=tensor.name in text) for tensor in spec.inputs]
        self._readers = {tensor.name: (place, readers[place]) for place, tensor in enumerate(spec.inputs)}
        controls = {tensor.name for tensor in spec.sequence.controls} if spec.sequence else set()
        self._unread = controls - self._readers.keys()
        varies = any(tensor.optional for tensor in spec.inputs)  # Triton counts inputs, and knows none of them
        self._required = [place for place, tensor in enumerate(spec.inputs) if varies and not tensor.optional]
        self._names = [tensor.name for tensor in spec.inputs]
        self._ready = spec.sequence.ready if spec.sequence else ""
        self._tells = bool(spec.request_parameters)
        alone = len(readers) == 1 and not spec.inputs[0].optional and not controls and not self._tells
        self._only = readers[0] if alone else None
        self._writers = [_writer(tensor) for tensor in spec.outputs]
        self._write = self._writers[0] if len(self._writers) == 1 else None
        self.passing: Passing | None = None
        """What passes a request's one array to the function and the one result back; None of a model that has more."""
        if self._only is not None and self._write is not None:
            self.passing = Passing(self._only, self._write, self._response)

    def read(self, request: Request) -> Inputs:
        """Give a request's arrays in the order of the model's inputs; None for an optional one that isn't there. Its
        parameters come last, where the function takes them.

        Raises:
            InvalidText: an input that should be text isn't UTF-8.
            Refused: one that isn't optional is missing.
        """
        tensors = request.inputs()
        if self._only is not None:  # as of most models
            return (self._only(tensors[0]),)
        arrays: list[Any] = [None] * len(self._readers)
        for tensor in tensors:
            name = tensor.name()
            if name not in self._unread:
                place, reader = self._readers[name]
                arrays[place] = reader(tensor)
        for place in self._required:
            if arrays[place] is None:
                raise Refused(f'input "{self._names[place]}" is missing, which is not optional', "INVALID_ARG")
        if self._tells:
            arrays.append(_said(request))
        return tuple(arrays)

    def read_all(self, requests: Sequence[Request]) -> list[Inputs]:
        """Give the arrays of several requests, each as `read` does."""
        if self._only is None:
            return [self.read(request) for request in requests]
        read = self._only
        return [(read(request.inputs()[0]),) for request in requests]

    def ready(self, request: Request) -> bool:
        """Say whether a sequence's slot has a request."""
        tensors = (tensor for tensor in request.inputs() if tensor.name() == self._ready)
        return all(tensor.as_numpy().all() for tensor in tensors)

    def nothing(self) -> Response:
        """Make the response to a slot that has no request."""
        return self._response([])

    def response(self, outputs: Sequence[Array]) -> Response:
        """Make the response of one request."""
        if self._write is not None:
            return self._response([self._write(outputs[0])])
        return self._response([write(array) for write, array in zip(self._writers, outputs, strict=True)])

    def responses(self, outputs: Sequence[Array], sizes: Sequence[int]) -> list[Response]:
        """Make the responses of stacked requests, of so many rows each."""
        parts = [split(array, sizes) for array in outputs]
        if len(parts) == 1:
            make, write = self._response, self._writers[0]
            return [make([write(part)]) for part in parts[0]]
        return [self.response(arrays) for arrays in zip(*parts, strict=True)]

    def error(self, message: str, code: str, *, told: bool = False) -> Response:
        """Make a response that says what went wrong, with one of Triton's error codes; `told`, its message has it."""
        if told and code != "INTERNAL":
            message = f"tritonforge_code={code}; {message}"
        return self._response(error=self._error(sendable(message), getattr(self._error, code)))

    @staticmethod
    def asks(request: Request) -> bool:
        """Say whether a request is from a model of ours, which wants an error's code `told`."""
        return _ASKS in _parameters(request)

    @staticmethod
    def warn(messages: Sequence[str]) -> None:
        """Write warnings to the server's log."""
        for message in messages:
            pb_utils.Logger.log_warn(sendable(message))

    @staticmethod
    def send(sender: Sender, response: Response) -> None:
        """Send one of a stream's responses."""
        sender.send(response)

    @staticmethod
    def finish(sender: Sender, response: Response | None = None) -> None:
        """End a stream, with a last response or without."""
        final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        if response is None:
            sender.send(flags=final)
        else:
            sender.send(response, flags=final)


class Exchange:
    """Requests from this model to another that Triton serves; all of them say the same `parameters`."""

    def __init__(self, spec: ModelSpec, parameters: str = "") -> None:
        self._spec = spec
        self._request = partial(
            pb_utils.InferenceRequest,
            model_name=spec.name,
            requested_output_names=[tensor.name for tensor in spec.outputs],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
            **_question(parameters),
        )
        self._writers = {tensor.name: _writer(tensor) for tensor in spec.inputs}
        self._readers = {tensor.name: _reader(tensor, text=tensor.text) for tensor in spec.outputs}
        self._strings = frozenset(tensor.name for tensor in spec.inputs if tensor.datatype == "BYTES")
        batched = spec.batched
        self._sent = {t.name: (t.dims, t.wire(batched=batched)) for t in spec.inputs if _differs(t, batched=batched)}
        self._read = {t.name: (t.wire(batched=batched), t.dims) for t in spec.outputs if _differs(t, batched=batched)}

    def saying(self, parameters: str) -> Exchange:
        """Give requests to the same model that say these parameters, as JSON.

        Raises:
            Refused: this Triton hands none from model to model.
        """
        return Exchange(self._spec, parameters)

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Send arrays by input name; give the outputs by name.

        Raises:
            TritonError: the model refused or failed.
        """
        inputs = [self._writers[name](self._outgoing(name, array)) for name, array in arrays.items()]
        response = self._request(inputs=inputs).exec()
        if response.has_error():
            raise self._failure(response.error())
        outputs = {}
        for tensor in response.output_tensors():
            name = tensor.name()
            array = self._readers[name](tensor)
            outputs[name] = self._reshaped(array, *self._read[name]) if name in self._read else array
        return outputs

    def _outgoing(self, name: str, array: Array) -> Array:
        if name in self._strings:
            array = strings.as_bytes(array, name)
        return self._reshaped(array, *self._sent[name]) if name in self._sent else array

    def _reshaped(self, array: Array, dims: tuple[int, ...], to: tuple[int, ...]) -> Array:
        """Reshape as Triton does: variable sizes keep their order."""
        batch = array.shape[: self._spec.batched]
        variable = iter([size for dim, size in zip(dims, array.shape[len(batch) :], strict=True) if dim < 0])
        return array.reshape(batch + tuple(next(variable, -1) if dim < 0 else dim for dim in to))

    def _failure(self, error: Any) -> TritonError:
        message = error.message()
        coded = _CODED.search(message)
        if coded is not None and coded[1] in CODES:
            # Before it stand the ensembles that it came through.
            failure = TritonError(message[: coded.start()] + message[coded.end() :], coded[1])
        else:
            code = next((name for name in CODES if getattr(pb_utils.TritonError, name) == error.code()), "INTERNAL")
            failure = TritonError(message, code)
        failure.model = self._spec.name
        return failure


def _differs(spec: TensorSpec, *, batched: bool) -> bool:
    """Say whether clients see another shape than Python: [n, 1], say, for one value a row."""
    return spec.wire(batched=batched) != spec.dims


def _parameters(request: Request) -> str:
    """Give the JSON of a request's parameters; of an early release, which has none, nothing."""
    parameters = getattr(request, "parameters", None)
    return "" if parameters is None else str(parameters())


def _said(request: Request) -> RequestParameters:
    """Give what a request says to the function: its parameters, or what another model of ours has put into one."""
    said = json.loads(_parameters(request) or "{}")
    if _SAYS in said:
        said = json.loads(said[_SAYS])
    said.pop(_ASKS, None)
    return RequestParameters(said)


def _question(said: str) -> dict[str, Any]:
    """Make the parameters of a request that wants codes in messages, and says something, as JSON.

    Early releases have none; the one sign of it is the signature that pybind11 writes into the docstring. While
    model.py is imported, Triton's module is empty still.

    Raises:
        Refused: they have none, and there is something to say.
    """
    can_ask = "parameters" in (pb_utils.InferenceRequest.__init__.__doc__ or "")
    if said and not can_ask:
        raise Refused("this release of Triton hands no request parameters from model to model", "UNSUPPORTED")
    return {"parameters": {_ASKS: True, **({_SAYS: said} if said else {})}} if can_ask else {}


def _reader(spec: TensorSpec, *, text: bool) -> Callable[[Any], Array]:
    """Make the function that turns a Triton tensor into an array."""
    if spec.datatype == "BF16":
        bfloat16.require(spec.name)
        return bfloat16.from_triton
    if spec.datatype == "BYTES" and text:
        return lambda tensor: strings.decode(tensor.as_numpy(), spec.name)
    as_numpy: Callable[[Any], Array] = pb_utils.Tensor.as_numpy
    return as_numpy


def _writer(spec: TensorSpec) -> Callable[[Array], Any]:
    """Make the function that turns an array into a Triton tensor."""
    if spec.datatype == "BF16":
        bfloat16.require(spec.name)
        return partial(bfloat16.to_triton, pb_utils.Tensor, spec.name)
    return partial(pb_utils.Tensor, spec.name)
