"""The execution of graphs with implicit state, which Triton keeps for native backends only.

Seen in Triton 24.10: each request brings a Python-based backend the initial state, and nothing takes the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .batch import Array, Inputs, group, rows, split, stack
from .errors import CAUGHT, LoadError
from .failure import Failures
from .outputs import Outputs
from .ragged import Ragged
from .spec import ModelSpec, StateSpec
from .states import States
from .strings import as_text
from .wire import ENDS, STARTS, Request, Response, Wire

__all__ = ["StatefulExecution", "with_controls", "with_states"]


def with_controls(spec: ModelSpec, names: Collection[str]) -> ModelSpec:
    """Give a model whose graph has inputs of these names: those that are the sequence batcher's controls come last."""
    controls = spec.sequence.controls if spec.sequence else ()
    return replace(spec, inputs=(*spec.inputs, *(control for control in controls if control.name in names)))


def with_states(spec: ModelSpec, ragged: Ragged | None = None) -> ModelSpec:
    """Give a model as its graph sees it: its states come last among the inputs, and among the outputs where not there.

    One without implicit state is given back itself.

    Raises:
        LoadError: it has ragged inputs, too.
    """
    states = spec.sequence.states if spec.sequence else ()
    if not states:
        return spec
    if ragged is not None:
        raise LoadError("it has implicit state and ragged batches, of which this stand-in can do only one")
    answered = {tensor.name for tensor in spec.outputs}
    return replace(
        spec,
        inputs=(*spec.inputs, *(state.input for state in states)),
        outputs=(*spec.outputs, *(state.output for state in states if state.output.name not in answered)),
    )


class StatefulExecution:
    """Runs a graph on requests of different sequences, stacked along the batch with their states."""

    def __init__(
        self, spec: ModelSpec, text: Collection[str], function: Callable[..., Any], failures: Failures
    ) -> None:
        assert spec.sequence is not None
        seen = with_states(spec)
        self._answers = Wire(spec, text)
        self._wire = Wire(seen, text)
        self._function = function
        self._failures = failures
        self._outputs = Outputs(seen)
        self._names = tuple(tensor.name for tensor in seen.inputs)
        self._states = spec.sequence.states
        self._batched = spec.batched
        self._inputs = len(spec.inputs)
        self._answered = len(spec.outputs)
        places = {tensor.name: place for place, tensor in enumerate(seen.outputs)}
        self._places = tuple(places[state.output.name] for state in self._states)
        self._text = tuple(state.input.name in text for state in self._states)
        self._kept = States(spec.sequence.idle_s)

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order; no two of them are of the same sequence."""
        self._kept.expire()
        responses: list[Response] = [None] * len(requests)
        readable: list[tuple[int, Inputs]] = []
        for index, request in enumerate(requests):
            inputs, responses[index] = self._read(request)
            if inputs is not None:
                readable.append((index, inputs))
        for together in group(readable) if self._batched else [[one] for one in readable]:
            answers = self._answer([inputs for _, inputs in together], [requests[index] for index, _ in together])
            for (index, _), answer in zip(together, answers, strict=True):
                responses[index] = answer
        return responses

    def __len__(self) -> int:
        """Count the sequences that have a state."""
        return len(self._kept)

    def close(self) -> None:
        """Drop no more states by time."""
        self._kept.close()

    def _read(self, request: Request) -> tuple[Inputs | None, Response]:
        """Give a request's inputs with its sequence's states, or its response at once."""
        try:
            if not self._wire.ready(request):
                return None, self._wire.nothing()  # an empty slot of the direct strategy
            return self._with_states(request), None
        except CAUGHT as error:
            return None, self._fail(error)

    def _with_states(self, request: Request) -> Inputs:
        identity, starts = request.correlation_id(), request.flags() & STARTS
        if starts:
            self._kept.drop(identity)
        inputs = self._wire.read(request)  # before the states are taken out: one that can't be read leaves them
        given, handed = inputs[: self._inputs], inputs[self._inputs :]
        states = map(self._first, self._states, handed) if starts else self._kept.take(identity)
        return (*given, *states)

    def _first(self, state: StateSpec, handed: Array | None) -> Array:
        """Give a new sequence's state: Triton's, which is that of `initial_state`, or else zeros."""
        if state.initial and handed is not None:
            return handed
        # What Triton hands over without an initial_state is memory that nothing was written to.
        shape = (*[1] * self._batched, *(max(dim, 1) if dim < 0 else dim for dim in state.input.dims))
        return np.full(shape, "" if state.input.datatype == "BYTES" else 0, state.input.numpy)

    def _answer(self, stacked: Sequence[Inputs], requests: Sequence[Request]) -> list[Response]:
        """Call the graph once for a group. Where that fails, once for each request, to find the culprits."""
        sizes = [rows(inputs) or 0 for inputs in stacked] if self._batched else []
        try:
            outputs = self._call(stack(stacked), sum(sizes) if self._batched else None)
        except CAUGHT as error:
            if len(stacked) == 1:
                self._keep(requests[0], stacked[0][self._inputs :])  # as it was
                return [self._fail(error)]
            return [self._answer([one], [request])[0] for one, request in zip(stacked, requests, strict=True)]
        if len(stacked) == 1:
            return [self._take(requests[0], outputs)]
        parts = zip(*(split(array, sizes) for array in outputs), strict=True)
        return [self._take(request, part) for request, part in zip(requests, parts, strict=True)]

    def _call(self, inputs: Inputs, expected: int | None) -> list[Array]:
        result = self._function(**dict(zip(self._names, inputs, strict=True)))
        return self._outputs.arrange(result, expected)

    def _take(self, request: Request, outputs: Sequence[Array]) -> Response:
        """Keep the states among a request's outputs, and answer with the others."""
        try:
            states = [outputs[place] for place in self._places]
            self._keep(
                request,
                [
                    as_text(array, state.output.name) if text else array
                    for array, state, text in zip(states, self._states, self._text, strict=True)
                ],
            )
            return self._answers.response(outputs[: self._answered])
        except CAUGHT as error:
            return self._fail(error)

    def _keep(self, request: Request, states: Sequence[Array | None]) -> None:
        if not request.flags() & ENDS:
            # Copies: a part would hold the whole stack, and an input's memory is Triton's.
            self._kept.keep(request.correlation_id(), [np.array(state) for state in states])

    def _fail(self, error: BaseException) -> Response:
        self._failures.log(error, "request failed")
        return self._wire.error(*self._failures.describe(error))
