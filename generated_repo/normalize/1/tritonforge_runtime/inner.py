"""Pipelines that other code calls: a body in a body, which runs as it stands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .parts import PartSpec

__all__ = ["PipelinePart"]


class PipelinePart:
    """A function that is a pipeline. A call may leave out its optional inputs, as a request may."""

    def __init__(self, target: Callable[..., Any]) -> None:
        self.target = target
        self._optional: Sequence[tuple[int, str]] = ()
        functools.update_wrapper(self, target)

    def load_part(self, spec: PartSpec) -> None:
        """Take from its inputs which are optional."""
        self._optional = [(place, tensor.name) for place, tensor in enumerate(spec.inputs) if tensor.optional]

    def __call__(self, *args: object, **kwargs: object) -> Any:
        left_out = {name: None for place, name in self._optional if place >= len(args) and name not in kwargs}
        return self.target(*args, **kwargs, **left_out)
