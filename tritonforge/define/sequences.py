"""Sequences: requests of one correlation id, and the state that a model keeps between them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tritonforge.define.asynchronous import is_async
from tritonforge.errors import Diagnostic, Where
from tritonforge.ir import Signature

__all__ = ["Sequence", "forgotten", "misplaced", "state_parameter", "unfit"]


class Sequence(BaseModel):
    """How the sequences of a model are run, a class with `start(self)` and `__call__(self, state, …)`.

    `strategy`: with "oldest" (the default) one instance runs up to `max_sequences` of them by turns; with "direct" each
    keeps a slot of one instance until it ends, and an instance has `max_batch_size` slots (one, without a batch). More
    wait for one of these to end. `max_idle_us` is how long after its last request a sequence ends by itself, in
    microseconds; its state is then dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Literal["oldest", "direct"] = "oldest"
    max_sequences: int = Field(default=1024, ge=1, lt=2**31)
    max_idle_us: int = Field(default=60_000_000, ge=1, lt=2**63)


def state_parameter(target: Any) -> str:
    """Name the parameter of a class's `__call__` that takes the state: its first one; empty where there is none."""
    names = [
        parameter.name
        for parameter in inspect.signature(target.__call__).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return names[1] if len(names) > 1 else ""


def misplaced(target: Any, where: Where) -> list[Diagnostic]:
    """Say what keeps a function or class from having a state, whatever its annotations say."""
    if not isinstance(target, type):
        message, hint = "sequence is set on a function", "write a class with start(self) and __call__(self, state, …)"
    elif not callable(getattr(target, "start", None)):
        message = "sequence is set, but the class has no start"
        hint = "define start(self), which gives a new state, and take that first: __call__(self, state, …)"
    elif len(inspect.signature(target.__call__).parameters) < 3:
        message = "sequence is set, but __call__ doesn't take a state and inputs"
        hint = "take the state first, then the inputs: __call__(self, state, x)"
    else:
        return []
    return [Diagnostic("TF116", where, message, hint)]


def forgotten(target: Any, found: Iterable[Diagnostic], where: Where) -> list[Diagnostic]:
    """Put `sequence` into what was found in a class that isn't told to be a sequence model, and looks like one."""
    if not isinstance(target, type) or not callable(getattr(target, "start", None)):
        return list(found)
    state = state_parameter(target)
    place = where.at(f'{where.subject}, input "{state}"')
    message = "it is no tensor, and the class has start, as a sequence model does; sequence isn't set"
    hint = f'write @model(sequence=Sequence()), and "{state}" is the state; annotate it as a tensor if it is an input'
    return [Diagnostic("TF116", place, message, hint) if one.where == place else one for one in found]


def unfit(target: Any, signature: Signature, where: Where, *, padded: bool) -> list[Diagnostic]:
    """Say what else keeps a model from being a sequence model."""
    found = []
    if signature.decoupled:
        hint = "answer each request once; or take what was said before as an input, and leave sequence out"
        found.append(("sequence is set on a stream", hint))
    if is_async(target):
        found.append(
            ("sequence is set on an async class", "make __call__ a plain method: one request follows the other")
        )
    if padded:
        found.append(("sequence is set beside pad, but its requests are never stacked", "leave pad out"))
    return [Diagnostic("TF116", where, message, hint) for message, hint in found]
