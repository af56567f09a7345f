"""Sequences: requests that one model instance serves in order, with a state between them.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_sequence.md
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tritonforge.client.calls.turns import Turns
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerUnavailable,
    Target,
)
from tritonforge.client.message import Parameter
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import checked_parameters, kind_of
from tritonforge.request_parameters import require_encodable

__all__ = ["Said", "SequenceCore", "placed_parameters", "sequence_parameters"]

Send = Callable[[Mapping[str, Any], Mapping[str, Parameter], Mapping[str, Any]], Awaitable[Result]]
"""Sends inputs with these parameters and with the options of `infer`."""


class Said(NamedTuple):
    """What a request of a sequence says, but for its place."""

    inputs: Mapping[str, Any]
    parameters: Mapping[str, Parameter]
    options: Mapping[str, Any]

    def kept(self) -> Said:
        """Give a copy, for a caller may write to the same arrays again; without the time that this request had."""
        inputs = {
            name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in self.inputs.items()
        }
        options = {name: value for name, value in self.options.items() if name != "timeout_s"}
        if isinstance(headers := options.get("headers"), Mapping):
            options["headers"] = dict(headers)
        return Said(inputs, dict(self.parameters), options)

    def within(self, deadline: Deadline) -> Said:
        """Give it with the time that is left. Raise TimeoutError where none is."""
        return self._replace(options={**self.options, "timeout_s": deadline.left_s()})


def sequence_parameters(sequence_id: int | str, *, start: bool = False, end: bool = False) -> dict[str, Parameter]:
    """Spell a request's place in a sequence. Raise TypeError or ValueError for an id that is none."""
    parameters: dict[str, Parameter] = {"sequence_id": _checked(sequence_id)}
    if start:
        parameters["sequence_start"] = True
    if end:
        parameters["sequence_end"] = True
    return parameters


def placed_parameters(
    parameters: Mapping[str, Parameter] | None, sequence_id: int | str | None, *, start: bool, end: bool
) -> Mapping[str, Parameter] | None:
    """Add a request's place in a sequence, where it is in one, to a caller's parameters, which are checked."""
    parameters = checked_parameters(parameters)
    if sequence_id is not None:
        return {**(parameters or {}), **sequence_parameters(sequence_id, start=start, end=end)}
    if start or end:
        raise ValueError("sequence_start and sequence_end are of a sequence: give sequence_id= too")
    return parameters


class SequenceCore:
    """One sequence: which request is first and last, and what becomes of it when the server loses it.

    With `replay`, copies of the requests so far are kept, and where the server no longer knows the sequence, or can't
    be known to have taken a request, they are sent again as a new one. Requests go one at a time, in the order in which
    they are asked for: each builds on the state that the one before has left.
    """

    def __init__(
        self,
        send: Send,
        target: Target,
        *,
        turns: Turns,
        clock: Callable[[float | None], Deadline],
        sequence_id: int | str | None,
        closing: Said | None,
        replay: bool,
    ) -> None:
        self.id: int | str = _new_id() if sequence_id is None else _checked(sequence_id)
        self._fixed_id = sequence_id is not None
        self._send = send
        self._turns = turns
        self._clock = clock
        self.target = target
        self._closing = closing
        self._replay = replay
        self._past: list[Said] = []
        self._begun = self._ended = self._closed = False
        self._doubt = ""

    async def infer(
        self, inputs: Mapping[str, Any], *, end: bool, parameters: Mapping[str, Parameter], options: Mapping[str, Any]
    ) -> Result:
        """Send the next request once those before it are over. Raise RuntimeError after the last one, or the block."""
        if self._closed:
            raise RuntimeError("the sequence's block has ended; begin another with client.sequence()")
        deadline = self._clock(options.get("timeout_s"))
        try:
            async with self._turns.turn(deadline) as waited:
                if waited:
                    options = {**options, "timeout_s": deadline.left_s()}
                return await self._infer(Said(inputs, parameters, options), deadline, end=end)
        except DeadlineExceeded:
            raise
        except TimeoutError as error:
            reason = f"not sent within {deadline.given}: requests of the sequence before it are under way"
            raise DeadlineExceeded(reason, self.target, sent=False) from error

    async def close(self, *, failed: bool) -> None:
        """End the sequence where it has not ended, and there are inputs to end it with.

        Triton ends a sequence with a request only. Without one, it does so after the model's idle time.
        """
        self._closed = True
        if self._closing is None:
            return
        try:
            async with self._turns.turn(self._clock(None)):
                if self._begun and not self._ended and not self._doubt:
                    await self._next(self._closing, end=True)
        except ClientError:
            if not failed:  # else it would hide what went wrong first
                raise
        except TimeoutError as error:
            if not failed:
                raise DeadlineExceeded("not ended: a request of the sequence is under way", self.target) from error

    async def _infer(self, said: Said, deadline: Deadline, *, end: bool) -> Result:
        if self._ended:
            raise RuntimeError("the sequence has ended; begin another with client.sequence()")
        if self._doubt and not self._replay:
            reason = f"the state of the sequence is unknown since {self._doubt}: begin another, or use replay=True"
            raise InvalidRequest(reason, self.target)
        kept = said.kept() if self._replay and not end else None
        if self._doubt:
            said = await self._again(said, deadline)
        try:
            result = await self._next(said, end=end)
        except InvalidRequest as error:
            if not self._begun or "START flag" not in error.reason:
                raise
            if not self._replay:
                raise _forgotten(error) from error
            result = await self._next(await self._again(said, deadline), end=end)
        if kept:
            self._past.append(kept)
        return result

    async def _next(self, said: Said, *, end: bool) -> Result:
        place = sequence_parameters(self.id, start=not self._begun, end=end)
        try:
            result = await self._send(said.inputs, {**said.parameters, **place}, said.options)
        except BaseException as error:
            self._in_doubt(error)
            raise
        self._begun = True
        self._ended = end
        return result

    async def _again(self, said: Said, deadline: Deadline) -> Said:
        """Begin anew, with all that has been sent; give what is to be sent next, with the time that is left for it."""
        if not self._fixed_id:
            self.id = _new_id()
        self._begun = False
        self._doubt = self._doubt or "its requests were not all sent again"  # until they are
        try:
            for past in self._past:
                await self._next(past.within(deadline), end=False)
            said = said.within(deadline)
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded):
                raise
            reason = f"not sent within {deadline.given}: the requests before it are sent again"
            raise DeadlineExceeded(reason, self.target, sent=False) from error
        self._doubt = ""
        return said

    def _in_doubt(self, error: BaseException) -> None:
        """Note that a request may or may not have reached the model: after a failure, or broken off by its caller."""
        if isinstance(error, (ServerUnavailable, DeadlineExceeded)):
            if self._replay or error.sent:
                self._doubt = f"a request of it may have been lost ({type(error).__name__}: {error.reason})"
        elif not isinstance(error, Exception):
            self._doubt = f"a request of it was broken off ({type(error).__name__})"


def _forgotten(error: InvalidRequest) -> InvalidRequest:
    """Say why a sequence that has begun may be unknown to the server."""
    told = InvalidRequest(
        f"{error.reason}; the sequence has begun, but the server has it no more: it was idle for longer than the model "
        "allows (max_idle_us), or the model was loaded anew. Begin another, or use replay=True",
        error.target,
    )
    told.code = error.code
    return told


def _checked(sequence_id: Any) -> int | str:
    """Give an id as it is sent. Raise TypeError where it is none, ValueError for one that Triton takes for none."""
    if isinstance(sequence_id, np.integer):
        sequence_id = int(sequence_id)
    if not isinstance(sequence_id, (int, str)):
        raise TypeError(f"sequence_id is {kind_of(sequence_id)}; it is a text, or a number above 0")
    if isinstance(sequence_id, bool) or not sequence_id or (isinstance(sequence_id, int) and not _fits(sequence_id)):
        raise ValueError(f"sequence_id is {sequence_id!r}; it is a text, or a number above 0 that fits into 63 bits")
    if isinstance(sequence_id, str):
        require_encodable("sequence_id", sequence_id)
        if len(sequence_id.encode()) > 128:  # what Triton 24.10 takes
            raise ValueError(f"sequence_id has {len(sequence_id.encode())} bytes; Triton takes up to 128")
    return sequence_id


def _new_id() -> int:
    return secrets.randbits(62) + 1


def _fits(number: int) -> bool:
    return 0 < number < 1 << 63
