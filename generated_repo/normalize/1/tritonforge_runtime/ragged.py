"""Ragged batches of graph models: requests of different shapes end to end, and the tensors that tell them apart.

As Triton's native backends do it: an input with `allow_ragged_batch` reaches the graph as one row of all elements, each
`batch_input` is computed of the requests' shapes, and each `batch_output` is cut as an input was put together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .batch import Array, Inputs, rows, split
from .errors import CAUGHT, InvalidResult
from .failure import Failures
from .outputs import Outputs
from .spec import ModelSpec, TensorSpec
from .wire import Request, Response, Wire

__all__ = ["BatchInput", "Ragged", "RaggedExecution", "parse_ragged"]

Shapes = Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class BatchInput:
    """A tensor of the graph that is computed of the shapes that `source` has in the requests of a batch."""

    tensor: TensorSpec
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Ragged:
    """What is ragged in a model: its inputs by name, what is computed, and which input each cut output goes by."""

    inputs: frozenset[str]
    computed: tuple[BatchInput, ...]
    scattered: Mapping[str, str]

    def seen(self, spec: ModelSpec) -> tuple[ModelSpec, ModelSpec]:
        """Give the tensors of the graph: those that have a batch, and those that run through all requests."""
        flat = (*(replace(one, dims=(-1,)) for one in spec.inputs if one.name in self.inputs),)
        cut = (*(replace(one, dims=(-1,)) for one in spec.outputs if one.name in self.scattered),)
        whole = replace(spec, batched=False, inputs=(*flat, *(one.tensor for one in self.computed)), outputs=cut)
        batched = replace(
            spec,
            inputs=tuple(one for one in spec.inputs if one.name not in self.inputs),
            outputs=tuple(one for one in spec.outputs if one.name not in self.scattered),
        )
        return batched, whole


def parse_ragged(config: str) -> Ragged | None:
    """Read the JSON that Triton hands to `initialize`; None where nothing in it is ragged."""
    fields = json.loads(config)
    inputs = frozenset(one["name"] for one in fields["input"] if one.get("allow_ragged_batch"))
    computed = tuple(
        BatchInput(
            TensorSpec(
                name,
                entry["data_type"].removeprefix("TYPE_"),
                (-1, -1) if entry.get("kind") == "BATCH_ITEM_SHAPE" else (-1,),
            ),
            entry.get("kind", "BATCH_ELEMENT_COUNT"),
            entry["source_input"][0],
        )
        for entry in fields.get("batch_input", ())
        for name in entry["target_name"]
    )
    scattered = {
        name: entry["source_input"][0] for entry in fields.get("batch_output", ()) for name in entry["target_name"]
    }
    return Ragged(inputs, computed, scattered) if inputs or computed or scattered else None


def _item_shapes(shapes: Shapes) -> Array:
    return np.array([shape[1:] for shape in shapes for _ in range(shape[0])])


KINDS: dict[str, Callable[[Shapes], Array]] = {
    "BATCH_ELEMENT_COUNT": lambda shapes: np.array(list(map(math.prod, shapes))),
    "BATCH_ACCUMULATED_ELEMENT_COUNT": lambda shapes: np.cumsum(list(map(math.prod, shapes))),
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO": lambda shapes: np.cumsum([0, *map(math.prod, shapes)]),
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE": lambda shapes: np.zeros(max(map(math.prod, shapes))),
    "BATCH_ITEM_SHAPE": _item_shapes,
    "BATCH_ITEM_SHAPE_FLATTEN": lambda shapes: _item_shapes(shapes).ravel(),
}
"""How each kind is computed of the shapes of its source, the batch first, in the requests of a batch."""


class RaggedExecution:
    """Runs a graph on the requests that Triton hands over together; where that fails, on each by itself."""

    def __init__(
        self, spec: ModelSpec, ragged: Ragged, wire: Wire, function: Callable[..., Any], failures: Failures
    ) -> None:
        self._spec = spec
        self._ragged = ragged
        self._wire = wire
        self._function = function
        self._failures = failures
        self._outputs = Outputs(spec)
        self._names = [tensor.name for tensor in spec.inputs]

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order."""
        try:
            given = [self._wire.read(request) for request in requests]
            return [self._wire.response(outputs) for outputs in self._run(given)]
        except CAUGHT as error:
            if len(requests) == 1:
                return [self._fail(error, requests[0])]
            return [self([request])[0] for request in requests]

    def _run(self, requests: Sequence[Inputs]) -> list[list[Array]]:
        """Call the graph once; give the outputs of each request."""
        by_name = {name: [inputs[place] for inputs in requests] for place, name in enumerate(self._names)}
        feed: dict[str, Any] = {name: self._joined(name, arrays) for name, arrays in by_name.items()}
        for one in self._ragged.computed:
            shapes = [array.shape for array in by_name[one.source] if array is not None]
            feed[one.tensor.name] = KINDS[one.kind](shapes).astype(one.tensor.numpy)
        sizes = [rows(inputs) or 0 for inputs in requests]
        result = self._function(**feed)
        if isinstance(result, Mapping):
            result = [result[tensor.name] for tensor in self._spec.outputs]
        parts = []
        for tensor, value in zip(self._spec.outputs, result, strict=True):
            source = self._ragged.scattered.get(tensor.name)
            parts.append(
                split(_checked(tensor, value, sum(sizes)), sizes)
                if source is None
                else _scatter(tensor, value, [array.shape for array in by_name[source] if array is not None])
            )
        return [self._outputs.arrange(own, size) for own, size in zip(zip(*parts, strict=True), sizes, strict=True)]

    def _joined(self, name: str, arrays: Sequence[Array | None]) -> Array | None:
        there = [array for array in arrays if array is not None]
        if not there:
            return None
        if len(there) < len(arrays):
            raise InvalidResult(f'optional input "{name}" is in some requests of a ragged batch, and not in others')
        joined: Array = np.concatenate([one.ravel() for one in there] if name in self._ragged.inputs else there)
        return joined

    def _fail(self, error: BaseException, request: Request) -> Response:
        self._failures.log(error, "request failed")
        return self._wire.error(*self._failures.describe(error), told=self._wire.asks(request))


def _checked(tensor: TensorSpec, value: Array, total: int) -> Array:
    if value.ndim == 0 or len(value) != total:
        raise InvalidResult(f'output "{tensor.name}" has shape {list(value.shape)}; wanted {total} rows, as the inputs')
    return value


def _scatter(tensor: TensorSpec, value: Array, shapes: Shapes) -> list[Array]:
    """Cut an output into the shapes of an input."""
    counts = [math.prod(shape) for shape in shapes]
    if value.size != sum(counts):
        wanted = f"{sum(counts)}, as many as the input that it is cut by"
        raise InvalidResult(f'output "{tensor.name}" has {value.size} elements; wanted {wanted}')
    return [part.reshape(shape) for part, shape in zip(split(value.ravel(), counts), shapes, strict=True)]
