"""The common call in one piece: from arrays to the socket and back, with no more on the way than each call needs anew.

Between two calls the server has had the processor's caches, and each function on the way comes from memory again. The
layers of a call are some fifty functions, which take twice as long then as what is here. They stay in charge: what is
not common is theirs from the start, and what doesn't go well is theirs from there on.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from tritonforge.client.arena import Arena
from tritonforge.client.async_http import AsyncHttpTransport
from tritonforge.client.blocking import finish
from tritonforge.client.catalog import Catalog
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import Target
from tritonforge.client.http import HttpTransport
from tritonforge.client.http_answer import Answer
from tritonforge.client.http_exchange import FAILURES, JOIN_BELOW
from tritonforge.client.http_message import plain_response
from tritonforge.client.kinds import Known, form_of
from tritonforge.client.message import Kind, Response
from tritonforge.client.payload import make_request_of
from tritonforge.client.reading import conclude
from tritonforge.client.reliable import ReliableTransport
from tritonforge.client.result import Result
from tritonforge.client.wire import decode
from tritonforge.errors import InvalidTensor

__all__ = ["AsyncFastPath", "Direct", "FastPath"]

T = TypeVar("T", HttpTransport, AsyncHttpTransport)


@dataclass(frozen=True, slots=True)
class Direct(Generic[T]):
    """The only server of a client that nobody observes, over HTTP; and what its calls have otherwise on the way."""

    http: T
    reliable: ReliableTransport
    arena: Arena | None


class _Call(NamedTuple):
    """A common call, and the bytes of its request."""

    model: str
    version: str | int
    inputs: Mapping[str, Any]
    known: Known
    kind: Kind
    request: bytes


class _Path(Generic[T]):
    """Calls of kinds that have been checked, to a healthy server: what of them is no I/O."""

    __slots__ = ("_arena", "_budget", "_catalog", "_heads", "_http", "_reliable", "_replica")

    def __init__(self, catalog: Catalog, direct: Direct[T]) -> None:
        self._catalog = catalog
        self._http: T = direct.http
        self._reliable, self._arena = direct.reliable, direct.arena
        self._heads = direct.http.form.heads
        self._replica = direct.reliable.replicas.all[0]
        self._budget = direct.reliable.budget

    def _write(self, model: str, version: str | int, inputs: Mapping[str, Any]) -> _Call | None:
        """Write the request, where it is a common one."""
        replica, arena = self._replica, self._arena
        ails = replica.failures or replica.pauses or replica.late or not self._budget.full
        if ails or (arena is not None and arena.used):
            return None
        try:
            known = self._catalog.models[model, version]
            kind: Kind = known.kinds[form_of(inputs, ())]
            head = self._heads[kind]
        except (KeyError, TypeError):
            return None
        if kind.size >= JOIN_BELOW or known.special:
            return None
        request = b"".join([head, *[inputs[name].tobytes() for name, _, _ in kind.tensors]])
        return _Call(model, version, inputs, known, kind, request)

    def _read(self, call: _Call, answer: Answer) -> Result | None:
        """Read the answer, where it is as always."""
        body, size = answer.body, answer.headers.get("inference-header-content-length", "")
        if answer.status != 200 or type(body) is not bytes or not size.isdecimal():
            return None
        start = int(size)
        try:
            plain = plain_response(body[:start])
            if (
                plain is None
                or plain.types != call.known.types
                or plain.model != call.model
                or (call.version != "" and plain.version != str(call.version))
                or plain.size > len(body) - start
            ):
                return None
            arrays = {}
            for name, datatype, dtype, shape, length in plain.outputs:
                data = body[start : start + length]
                start += length
                small = dtype is not None
                arrays[name] = np.ndarray(shape, dtype, data).copy() if small else decode(datatype, shape, data)
        except (*FAILURES, InvalidTensor):  # the layers will say what it is
            return None
        return Result(arrays, model=plain.model, model_version=plain.version, id=plain.id)

    async def _go_on(self, call: _Call, outcome: Answer | Exception, deadline: Deadline) -> Result:
        """Have the layers go on, as after a first attempt of their own."""
        target = Target(self._reliable.url, call.model, str(call.version))
        request = make_request_of(call.kind, target, call.inputs, (), None)

        async def attempt() -> Response:
            return self._http.form.conclude(outcome, request, deadline)

        answering = self._reliable.infer(request, deadline, begun=attempt())
        return await conclude(answering, call.known, self._catalog, target, deadline)


class FastPath(_Path[HttpTransport]):
    """Common calls that block."""

    __slots__ = ()

    def infer(self, model: str, version: str | int, inputs: Mapping[str, Any], deadline: Deadline) -> Result | None:
        """Make a call, where it is a common one; None where it isn't: nothing has been done then."""
        call = self._write(model, version, inputs)
        if call is None:
            return None
        try:
            answer = self._http.exchange((call.request,), deadline)
        except FAILURES as error:
            return finish(self._go_on(call, error, deadline))
        return self._read(call, answer) or finish(self._go_on(call, answer, deadline))


class AsyncFastPath(_Path[AsyncHttpTransport]):
    """Common calls in an event loop."""

    __slots__ = ()

    def infer(
        self, model: str, version: str | int, inputs: Mapping[str, Any], deadline: Deadline
    ) -> Coroutine[Any, Any, Result] | None:
        """Give what makes a call, where it is a common one; None where it isn't."""
        call = self._write(model, version, inputs)
        return None if call is None else self._infer(call, deadline)

    async def _infer(self, call: _Call, deadline: Deadline) -> Result:
        try:
            answer = await self._http.exchange((call.request,), deadline)
        except FAILURES as error:
            return await self._go_on(call, error, deadline)
        return self._read(call, answer) or await self._go_on(call, answer, deadline)
