"""Large tensors through system shared memory, where client and server are on one machine: a transport over another.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tritonforge.client.arena import Arena, Placed
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, InferenceFailed, InvalidRequest
from tritonforge.client.message import Request, Response, is_sequence
from tritonforge.client.questions import Question
from tritonforge.client.segments import PREFIX, Segment, abandoned, remove
from tritonforge.client.transport import AsyncTransport

__all__ = ["SharedMemoryTransport", "is_loopback"]

_LOG = logging.getLogger("tritonforge.client")
_GOODBYE_S = 1.0


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name, so that the server may see this machine's memory."""
    return host in ("localhost", "::1") or host.startswith("127.")


class SharedMemoryTransport:
    """Another transport, with large tensors beside it. Where the server can't map them, all goes over the wire."""

    def __init__(self, inner: AsyncTransport) -> None:
        self.url = inner.url
        self.arena = Arena()
        self._inner = inner
        self._usable = True
        self._swept = False

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        placed = self._place(request)
        if placed is None or not await self._register(placed, deadline):
            if placed is not None:
                self.arena.done(placed)
            response = await self._inner.infer(request, deadline)
            if self._usable and not is_sequence(request):
                self.arena.learn(request, response)
            return response
        return await self._infer_placed(request, placed, deadline)

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        return await self._inner.ask(question, deadline)

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Stream, all over the wire."""
        return self._inner.stream(request, deadline)

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece."""
        return self._inner.events(question, deadline)

    async def sleep(self, seconds: float) -> None:
        """Wait, as the other transport does."""
        await self._inner.sleep(seconds)

    async def close(self) -> None:
        """Unregister and remove all segments, and close the other transport."""
        for name in self.arena.close():
            with suppress(ClientError, RuntimeError):
                await self._inner.ask(unregistration(name), Deadline(_GOODBYE_S))
        await self._inner.close()

    async def release(self, segment: Segment) -> None:
        """Let go of a segment with arrays of the caller's own."""
        if self.arena.unfix(segment):
            with suppress(ClientError, RuntimeError):
                await self._inner.ask(unregistration(segment.name), Deadline(_GOODBYE_S))

    def _place(self, request: Request) -> Placed | None:
        if not self._usable:
            return None
        try:
            return self.arena.place(request)
        except OSError as error:
            self._give_up(f"/dev/shm can't be used: {error}")
            return None

    async def _infer_placed(self, request: Request, placed: Placed, deadline: Deadline) -> Response:
        try:
            response = await self._inner.infer(placed.request, deadline)
        except InvalidRequest as error:
            if "shared memory region" not in error.reason:
                self.arena.done(placed)
                raise
            # Nothing ran: the server has started anew since, or an output has outgrown its place.
            self.arena.forget_registrations()
            self.arena.forget(placed)
            self.arena.done(placed)
            return await self._inner.infer(request, deadline)
        except InferenceFailed as error:
            self.arena.done(placed)
            if not placed.request.into or "shared memory" not in error.reason or is_sequence(request):
                raise
            self.arena.forget(placed)  # the outputs have outgrown their place, which Triton sees after it has run
            return await self._inner.infer(request, deadline)
        except BaseException:
            self.arena.discard(placed)  # the server may be at it still
            raise
        if not placed.request.into and not is_sequence(request):
            self.arena.learn(request, response)
        response = self.arena.take(placed, response)
        self.arena.done(placed)
        for segment in self.arena.surplus():
            segment.close()
            with suppress(ClientError):
                await self._inner.ask(unregistration(segment.name), deadline)
        return response

    async def _register(self, placed: Placed, deadline: Deadline) -> bool:
        """Have the server map the segments of a request; False where it can't."""
        segments = self.arena.unregistered(placed)
        if segments and not self._swept:
            self._swept = True
            await self._sweep(deadline)
        try:
            for segment in segments:
                await self._inner.ask(registration(segment), deadline)
                self.arena.registered.add(segment.name)
        except (InvalidRequest, InferenceFailed) as error:
            self._give_up(f"the server at {self.url} can't map this machine's memory: {error.reason}")
            return False
        return True

    async def _sweep(self, deadline: Deadline) -> None:
        """Remove what crashed clients have left, and have the server let go of it."""
        gone = set(abandoned())
        for name in gone:
            remove(name)
        try:
            names = [str(entry["name"]) for entry in await self._inner.ask(Question("shared_memory"), deadline)]
            for name in _ownerless(names):
                await self._inner.ask(unregistration(name), deadline)
        except (ClientError, LookupError, TypeError) as error:
            _LOG.debug("regions of crashed clients are left registered: %s", error)

    def _give_up(self, reason: str) -> None:
        self._usable = False
        _LOG.info("large tensors go over the wire: %s", reason)


def registration(segment: Segment) -> Question:
    """Ask the server to map a segment."""
    body = {"key": f"/{segment.name}", "offset": 0, "byte_size": segment.size}
    return Question("register_shared_memory", segment.name, body=body)


def unregistration(name: str) -> Question:
    """Ask the server to let go of a segment."""
    return Question("unregister_shared_memory", name)


def _ownerless(names: Sequence[str]) -> list[str]:
    """List the regions of ours whose segments are gone; the memory itself is freed once the server lets go of it."""
    return [name for name in names if name.startswith(PREFIX) and not Path("/dev/shm", name).exists()]
