"""Which servers don't have a model: the others are asked for it, as long as there are any."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Lacking", "Model"]

S = TypeVar("S")

Model = tuple[str, str]
"""A model's name, and the version that is asked for; empty where the server chooses."""

_MOST_MODELS = 1_000


class Lacking(Generic[S]):
    """By model, the servers that have said so, each left out for `pause_s`. Then one call asks it again.

    Whoever uses it from several threads takes care that they don't meet.
    """

    __slots__ = ("_clock", "_pause_s", "_until")

    def __init__(self, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._until: dict[Model, dict[S, float]] = {}

    def __bool__(self) -> bool:
        """Tell whether any server lacks any model."""
        return bool(self._until)

    def note(self, model: Model, server: S) -> None:
        """Leave a server out: it has said that it doesn't have the model."""
        if model not in self._until and len(self._until) >= _MOST_MODELS:
            self._until.clear()
        self._until.setdefault(model, {})[server] = self._clock() + self._pause_s

    def servers(self, model: Model) -> list[S]:
        """List those that are left out now."""
        now = self._clock()
        return [server for server, until in self._until.get(model, {}).items() if until > now]

    def asked(self, model: Model, server: S) -> None:
        """Leave a server that is asked again out for other calls, until it has answered."""
        if server in self._until.get(model, ()):
            self.note(model, server)

    def found(self, model: Model, server: S) -> None:
        """Take a server back: it has the model."""
        servers = self._until.get(model)
        if servers is not None:
            servers.pop(server, None)
            if not servers:
                del self._until[model]
