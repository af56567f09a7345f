"""Between Triton's objects and arrays: the one module that knows `triton_python_backend_utils`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import triton_python_backend_utils as pb_utils

from . import bfloat16, strings
from .batch import Array, Inputs, split
from .spec import ModelSpec, TensorSpec

__all__ = ["Request", "Response", "Sender", "Wire"]

Request = Any
Response = Any
Sender = Any
"""Triton's own objects, which have no types."""


class Wire:
    """Reads the requests of one model and makes its responses. Costs nothing that can be worked out beforehand."""

    def __init__(self, spec: ModelSpec, text: Collection[str]) -> None:
        self._response = pb_utils.InferenceResponse
        self._error = pb_utils.TritonError
        readers = [_reader(tensor, text=tensor.name in text) for tensor in spec.inputs]
        self._readers = {tensor.name: (place, readers[place]) for place, tensor in enumerate(spec.inputs)}
        self._only = readers[0] if len(readers) == 1 and not spec.inputs[0].optional else None
        self._writers = [_writer(tensor) for tensor in spec.outputs]

    def read(self, request: Request) -> Inputs:
        """Give a request's arrays in the order of the model's inputs; None for an optional one that isn't there.

        Raises:
            InvalidText: an input that should be text isn't UTF-8.
        """
        tensors = request.inputs()
        if self._only is not None:
            return (self._only(tensors[0]),)
        arrays: list[Array | None] = [None] * len(self._readers)
        for tensor in tensors:
            place, reader = self._readers[tensor.name()]
            arrays[place] = reader(tensor)
        return tuple(arrays)

    def response(self, outputs: Sequence[Array]) -> Response:
        """Make the response of one request."""
        return self._response([write(array) for write, array in zip(self._writers, outputs, strict=True)])

    def responses(self, outputs: Sequence[Array], sizes: Sequence[int]) -> list[Response]:
        """Make the responses of stacked requests, of so many rows each."""
        parts = [split(array, sizes) for array in outputs]
        if len(parts) == 1:
            make, write = self._response, self._writers[0]
            return [make([write(part)]) for part in parts[0]]
        return [self.response(arrays) for arrays in zip(*parts, strict=True)]

    def error(self, message: str, code: str) -> Response:
        """Make a response that says what went wrong, with one of Triton's error codes."""
        return self._response(error=self._error(message, getattr(self._error, code)))

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
