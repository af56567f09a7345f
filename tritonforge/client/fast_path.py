"""The common call in one piece: from arrays to the socket and back, with no more on the way than each call needs anew.

Between two calls the server has had the processor's caches, and each function on the way comes from memory again. The
layers of a call are some fifty functions, which take twice as long then as what is here. They stay in charge: what is
not common is theirs from the start, and what doesn't go well is theirs from there on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tritonforge.client.arena import Arena
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

__all__ = ["Direct", "FastPath"]


class Direct(NamedTuple):
    """The only server of a client that nobody observes, over HTTP; and what its calls have otherwise on the way."""

    http: HttpTransport
    reliable: ReliableTransport
    arena: Arena | None


class FastPath:
    """Calls of kinds that have been checked, to a healthy server."""

    __slots__ = ("_arena", "_budget", "_catalog", "_heads", "_http", "_reliable", "_replica")

    def __init__(self, catalog: Catalog, direct: Direct) -> None:
        self._catalog = catalog
        self._http, self._reliable, self._arena = direct
        self._heads = self._http.form.heads
        self._replica = self._reliable.replicas.all[0]
        self._budget = self._reliable.budget

    def infer(self, model: str, version: str | int, inputs: Mapping[str, Any], deadline: Deadline) -> Result | None:
        """Make a call, where it is a common one; None where it isn't: nothing has been done then."""
        replica, arena = self._replica, self._arena
        ails = replica.failures or replica.pauses or replica.late or not self._budget.full
        if ails or (arena is not None and arena.used):
            return None
        try:
            known = self._catalog.models[model, version]
            kind = known.kinds[form_of(inputs, ())]
            head = self._heads[kind]
        except (KeyError, TypeError):
            return None
        if kind.size >= JOIN_BELOW or known.special:
            return None
        request = b"".join([head, *[inputs[name].tobytes() for name, _, _ in kind.tensors]])
        try:
            answer = self._http.exchange((request,), deadline)
        except FAILURES as error:
            return self._hand_over(error, known, kind, model, version, inputs, deadline)
        body, size = answer.body, answer.headers.get("inference-header-content-length", "")
        if answer.status == 200 and type(body) is bytes and size.isdecimal():
            start = int(size)
            try:
                plain = plain_response(body[:start])
                if (
                    plain is not None
                    and plain.types == known.types
                    and plain.model == model
                    and (version == "" or plain.version == str(version))
                    and plain.size <= len(body) - start
                ):
                    arrays = {}
                    for name, datatype, dtype, shape, length in plain.outputs:
                        data = body[start : start + length]
                        start += length
                        small = dtype is not None
                        arrays[name] = np.ndarray(shape, dtype, data).copy() if small else decode(datatype, shape, data)
                    return Result(arrays, model=plain.model, model_version=plain.version, id=plain.id)
            except (*FAILURES, InvalidTensor):  # the layers will say what it is
                pass
        return self._hand_over(answer, known, kind, model, version, inputs, deadline)

    def _hand_over(
        self,
        outcome: Answer | Exception,
        known: Known,
        kind: Kind,
        model: str,
        version: str | int,
        inputs: Mapping[str, Any],
        deadline: Deadline,
    ) -> Result:
        """Have the layers go on, as after a first attempt of their own."""
        target = Target(self._reliable.url, model, str(version))
        request = make_request_of(kind, target, inputs, (), None)

        async def attempt() -> Response:
            return self._http.form.conclude(outcome, request, deadline)

        answering = self._reliable.infer(request, deadline, begun=attempt())
        return finish(conclude(answering, known, self._catalog, target, deadline))
