"""The common call in one piece: from arrays to the socket and back, with no more on the way than each call needs anew.

Between two calls the server has had the processor's caches, and each function on the way comes from memory again. The
layers of a call are some fifty functions, which take twice as long then as what is here. They stay in charge: what is
not common is theirs from the start, and what doesn't go well is theirs from there on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from tritonforge.client.calls.reading import conclude
from tritonforge.client.catalog import Catalog
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import Target
from tritonforge.client.message import Kind, Request, Response
from tritonforge.client.reliable.transport import ReliableTransport
from tritonforge.client.result import Result
from tritonforge.client.shared_memory.arena import Arena
from tritonforge.client.tensors.kinds import Known
from tritonforge.client.tensors.payload import make_request_of
from tritonforge.client.tensors.usual import Usual

__all__ = ["AsyncDirectTransport", "AsyncFastPath", "Direct", "DirectTransport", "FastPath"]

_MOST_BYTES = 1 << 14
"""Of a request's tensors: larger ones aren't joined with what goes before them."""


class Form(Protocol):
    """How requests to a server are written, and its answers read: HTTP's or gRPC's. What came over it is its own."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What a connection, and reading what came over it, can raise."""

    @property
    def heads(self) -> Mapping[Kind, tuple[bytes, ...]]:
        """What goes before each tensor of a request, by its kind; nothing of kinds that are written anew each time."""

    def usual_of(self, came: Any) -> Usual | None:
        """Read what is to be the same in further answers; None where there is no telling. Raise one of `failures`."""

    def read_as(self, usual: Usual | None, came: Any) -> Any:
        """Give the result of an answer like an earlier one; another as it came."""


@runtime_checkable
class DirectTransport(Protocol):
    """A transport that sends requests which have been written, and gives answers as they came, or the usual results."""

    @property
    def form(self) -> Form:
        """How they are written and read."""

    def exchange_usual(self, request: bytes, usual: Usual | None, deadline: Deadline) -> Any:
        """Send a request and give the Result of an answer like an earlier one, else what came.

        Raise one of the form's failures; RuntimeError once closed.
        """

    def conclude(self, outcome: Any, request: Request, deadline: Deadline) -> Response:
        """Read what came of an exchange, or what it raised. Raise the ClientError that it is."""


@runtime_checkable
class AsyncDirectTransport(Protocol):
    """The same in an event loop."""

    @property
    def form(self) -> Form:
        """How they are written and read."""

    async def exchange_usual(self, request: bytes, usual: Usual | None, deadline: Deadline) -> Any:
        """Send a request and give the Result of an answer like an earlier one, else what came.

        Raise one of the form's failures; RuntimeError once closed.
        """

    async def conclude(self, outcome: Any, request: Request, deadline: Deadline) -> Response:
        """Read what came of an exchange, or what it raised. Raise the ClientError that it is."""


T = TypeVar("T", DirectTransport, AsyncDirectTransport)


@dataclass(frozen=True, slots=True)
class Direct(Generic[T]):
    """The only server of a client that nobody observes; and what its calls have otherwise on the way."""

    transport: T
    reliable: ReliableTransport
    arena: Arena | None


Written = tuple[Known, Kind, bytes]
"""A common call: its model, the kind of its request, and the bytes of that."""


class _Path(Generic[T]):
    """Calls of kinds that have been checked, to a healthy server: what of them is no I/O."""

    __slots__ = ("_arena", "_budget", "_catalog", "_failures", "_form", "_heads", "_reliable", "_replica", "_transport")

    def __init__(self, catalog: Catalog, direct: Direct[T]) -> None:
        self._catalog = catalog
        self._transport: T = direct.transport
        self._reliable, self._arena = direct.reliable, direct.arena
        self._form = direct.transport.form
        self._heads, self._failures = self._form.heads, self._form.failures
        self._replica = direct.reliable.replicas.all[0]
        self._budget = direct.reliable.budget

    def _write(self, model: str, version: str | int, inputs: Mapping[str, Any]) -> Written | None:
        """Write the request, where it is a common one."""
        replica, arena = self._replica, self._arena
        ails = replica.failures or replica.pauses or replica.late or not self._budget.full
        if ails or (arena is not None and arena.used):
            return None
        form: list[object] = [()]  # as `form_of` gives it
        for name, array in inputs.items():
            if type(array) is not np.ndarray:
                return None
            form += (name, array.dtype, array.shape)
        try:
            known = self._catalog.models[model, version]
            kind: Kind = known.kinds[tuple(form)]
            heads = self._heads[kind]
        except (KeyError, TypeError):
            return None
        if kind.size >= _MOST_BYTES or known.special:
            return None
        parts: list[bytes] = []
        for head, (name, _, _) in zip(heads, kind.tensors):  # noqa: B905  # of one length; to check it takes time
            parts += (head, inputs[name].tobytes())
        return known, kind, b"".join(parts)

    def _learn(self, model: str, version: str | int, known: Known, kind: Kind, came: Any) -> Result | None:
        """Read an answer that is another one than before; None where it isn't what the model is known to give."""
        try:
            usual = self._form.usual_of(came)
        except self._failures:  # the layers will say what it is
            return None
        if (
            usual is None
            or usual.types != known.types
            or usual.model != model
            or (version != "" and usual.version != str(version))
        ):
            return None
        kind.usual = usual
        result = self._form.read_as(usual, came)
        return result if isinstance(result, Result) else None

    async def _go_on(
        self,
        model: str,
        version: str | int,
        inputs: Mapping[str, Any],
        written: Written,
        outcome: Any,
        deadline: Deadline,
    ) -> Result:
        """Have the layers go on, as after a first attempt of their own."""
        known, kind, _ = written
        target = Target(self._reliable.url, model, str(version))
        request = make_request_of(kind, target, inputs, (), None)
        answering = self._reliable.infer(request, deadline, begun=self._attempt(outcome, request, deadline))
        return await conclude(answering, known, self._catalog, target, deadline)

    def _attempt(self, outcome: Any, request: Request, deadline: Deadline) -> Awaitable[Response]:
        raise NotImplementedError


class FastPath(_Path[DirectTransport]):
    """Common calls that block."""

    __slots__ = ()

    def infer(self, model: str, version: str | int, inputs: Mapping[str, Any], deadline: Deadline) -> Result | None:
        """Make a call, where it is a common one; None where it isn't: nothing has been done then."""
        written = self._write(model, version, inputs)
        if written is None:
            return None
        known, kind, request = written
        try:
            came = self._transport.exchange_usual(request, kind.usual, deadline)
        except self._failures as error:
            return finish(self._go_on(model, version, inputs, written, error, deadline))
        if isinstance(came, Result):
            return came
        result = self._learn(model, version, known, kind, came)
        if result is None:
            return finish(self._go_on(model, version, inputs, written, came, deadline))
        return result

    async def _attempt(self, outcome: Any, request: Request, deadline: Deadline) -> Response:
        return self._transport.conclude(outcome, request, deadline)


class AsyncFastPath(_Path[AsyncDirectTransport]):
    """Common calls in an event loop."""

    __slots__ = ()

    def infer(
        self, model: str, version: str | int, inputs: Mapping[str, Any], deadline: Deadline
    ) -> Coroutine[Any, Any, Result] | None:
        """Give what makes a call, where it is a common one; None where it isn't."""
        written = self._write(model, version, inputs)
        return None if written is None else self._infer(model, version, inputs, written, deadline)

    async def _infer(
        self, model: str, version: str | int, inputs: Mapping[str, Any], written: Written, deadline: Deadline
    ) -> Result:
        known, kind, request = written
        try:
            came = await self._transport.exchange_usual(request, kind.usual, deadline)
        except self._failures as error:
            return await self._go_on(model, version, inputs, written, error, deadline)
        if isinstance(came, Result):
            return came
        result = self._learn(model, version, known, kind, came)
        if result is None:
            return await self._go_on(model, version, inputs, written, came, deadline)
        return result

    async def _attempt(self, outcome: Any, request: Request, deadline: Deadline) -> Response:
        return await self._transport.conclude(outcome, request, deadline)
