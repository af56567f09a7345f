"""Pipelines that other code calls: a body in a body, which runs as it stands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .batch import RequestParameters

if TYPE_CHECKING:
    from .parts import PartSpec

__all__ = ["PipelinePart"]


class PipelinePart:
    """A function that is a pipeline. A call may leave out its optional inputs and the request's parameters, as a
    request may.
    """

    def __init__(self, target: Callable[..., Any]) -> None:
        self.target = target
        self._optional: Sequence[tuple[int, str]] = ()
        self._parameters = ""
        self._place = 0
        functools.update_wrapper(self, target)

    def load_part(self, spec: PartSpec) -> None:
        """Take from its signature what may be left out."""
        self._optional = [(place, tensor.name) for place, tensor in enumerate(spec.inputs) if tensor.optional]
        self._parameters = spec.request_parameters
        self._place = len(spec.inputs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        left_out = {name: None for place, name in self._optional if place >= len(args) and name not in kwargs}
        if self._parameters:  # each call has its own
            place = self._place
            if len(args) > place:
                args = (*args[:place], RequestParameters(args[place] or {}), *args[place + 1 :])
            else:
                kwargs[self._parameters] = RequestParameters(kwargs.get(self._parameters) or {})
        return self.target(*args, **kwargs, **left_out)
