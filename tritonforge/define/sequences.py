"""Sequences: requests of one correlation id, and the state that a model keeps between them."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tritonforge.define.asynchronous import is_async
from tritonforge.errors import Diagnostic, Where
from tritonforge.ir import Signature

__all__ = ["Sequence", "state_parameter", "unfit"]


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


def unfit(target: Any, signature: Signature, where: Where, *, padded: bool) -> list[Diagnostic]:
    """Say what keeps a model from being a sequence model."""
    found = []
    if not isinstance(target, type):
        found.append(("sequence is set on a function", "write a class with start(self) and __call__(self, state, …)"))
    elif not callable(getattr(target, "start", None)):
        found.append(("sequence is set, but the class has no start", "define start(self), which gives a new state"))
    if signature.decoupled:
        found.append(("sequence is set on a stream", "answer each request once"))
    if is_async(target):
        found.append(
            ("sequence is set on an async class", "make __call__ a plain method: one request follows the other")
        )
    if padded:
        found.append(("sequence is set beside pad, but its requests are never stacked", "leave pad out"))
    return [Diagnostic("TF116", where, message, hint) for message, hint in found]
