"""Large tensors through system shared memory, where client and server are on one machine: a transport over another.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any

from tritonforge.client.cuda.regions import CudaRegions, is_on_device, refuse_stream
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
    Target,
)
from tritonforge.client.failures import lacks_endpoint
from tritonforge.client.message import Headers, Request, Response
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.arena import LEAST_BYTES, Arena, Placed
from tritonforge.client.shared_memory.regions import (
    is_known_already,
    is_outgrown,
    is_unknown,
    registration,
    sweep,
    unregistration,
)
from tritonforge.client.shared_memory.releases import Releases
from tritonforge.client.shared_memory.segments import Segment
from tritonforge.client.transport import AsyncTransport, TransportOver

__all__ = ["GOODBYE_S", "SharedMemoryTransport", "is_loopback"]

_LOG = logging.getLogger("tritonforge.client")
GOODBYE_S = 1.0
"""How long a server is waited for that is to let go of memory."""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name, so that the server may see this machine's memory."""
    return host in ("localhost", "::1") or host.startswith("127.")


class SharedMemoryTransport(TransportOver[AsyncTransport]):
    """Another transport, with large tensors beside it. Where the server can't map them, all goes over the wire."""

    def __init__(self, inner: AsyncTransport, *, may_repeat: bool = True) -> None:
        """`may_repeat`: an inference may be made again, as where an output has outgrown its place.

        Triton sees that after the model has run. Else outputs come over the wire.
        """
        super().__init__(inner)
        self.arena = Arena()
        self.cuda = CudaRegions(inner)
        self._releases = Releases(inner.ask, unregistration)
        self._usable = True
        self._may_repeat = may_repeat
        self._swept = False

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        kind = request.kind
        if kind is None and is_on_device(request):
            return await self.cuda.infer(request, deadline)
        small = kind is not None and kind.size < LEAST_BYTES and not self.arena.used
        placed = None if small else await self._place(request, deadline)
        if placed is None or not await self._register(request, placed, deadline):
            response = await self._inner.infer(request, deadline)
            if self._usable and self._may_repeat:
                self.arena.learn(request, response)
            return response
        return await self._infer_placed(request, placed, deadline)

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        return await self._inner.ask(question, deadline)

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Stream, all over the wire."""
        if is_on_device(request):
            refuse_stream(request, self.url)
        return self._inner.stream(request, deadline)

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece."""
        return self._inner.events(question, deadline)

    async def close(self) -> None:
        """Unregister and remove all segments, and close the other transport.

        Those of calls that were given up are waited for a moment: the next client sees to what is left.
        """
        deadline = Deadline(GOODBYE_S)
        names = self.arena.close()
        for name in names:
            self._releases.add(name)
        for name in names:
            await self._releases.let_go(name, deadline)
        await self.cuda.close(deadline)
        await self._releases.finish(deadline, self._inner.sleep)
        await self._inner.close()

    async def release(self, segment: Segment) -> None:
        """Let go of a segment with arrays of the caller's own."""
        if self.arena.unfix(segment):
            self._leave(segment)
            await self._releases.let_go(segment.name, Deadline(GOODBYE_S))

    async def _place(self, request: Request, deadline: Deadline) -> Placed | None:
        if not self._usable:
            return None
        outputs = request.outputs
        if not outputs and self.arena.large_outputs(request):
            outputs = await self._outputs_of(request, deadline)
        try:
            return self.arena.place(request, outputs)
        except OSError as error:
            self._give_up(f"/dev/shm can't be used: {error}")
            return None

    async def _outputs_of(self, request: Request, deadline: Deadline) -> tuple[str, ...]:
        """Ask which outputs the model has now, for a request of all of them that must name them; empty if unknown.

        Named, all of them are what a request without names gets: the model may leave some out (seen with Triton 24.10).
        They are asked for each time: of a model that was loaded anew, an output that is new would never come.
        """
        try:
            question = Question("model_metadata", request.model, request.version, headers=request.headers)
            metadata = await self._inner.ask(question, deadline)
            return tuple([str(output["name"]) for output in metadata["outputs"]])
        except (ServerUnavailable, DeadlineExceeded) as error:
            error.tell_of(self._target(request), sent=False)
            raise
        except (ClientError, LookupError, TypeError):  # the inference itself will say what is wrong
            return ()

    async def _infer_placed(self, request: Request, placed: Placed, deadline: Deadline) -> Response:
        try:
            response = await self._inner.infer(placed.request, deadline)
        except (InvalidRequest, InferenceFailed) as error:
            outgrown = placed.request.into and is_outgrown(error)
            unknown = not outgrown and is_unknown(error)
            if unknown:
                self.arena.forget_registrations(placed)
            if outgrown:
                named = [name for name in placed.request.into if f"'{name}'" in error.reason]
                self.arena.vary(request, named or placed.request.into)
                _LOG.info(
                    "%s is asked again: its outputs vary in size, and go over the wire now: %s", request.model, error
                )
            self.arena.done(placed)
            if not (unknown or outgrown):
                raise
            return await self._inner.infer(request, deadline)
        except BaseException:
            self._discard(placed)  # the server may be at it still
            raise
        try:
            response = self.arena.take(placed, response)
            if self._may_repeat:
                self.arena.learn(request, response)
        finally:
            self.arena.done(placed)
        surplus = self.arena.surplus()
        for segment in surplus:
            self._leave(segment)
            segment.discard()
        for segment in surplus:
            await self._releases.let_go(segment.name, deadline)
        if self._releases:
            await self._releases.go_on(deadline)
        return response

    async def _register(self, request: Request, placed: Placed, deadline: Deadline) -> bool:
        """Have the server map the segments of a request; False where it can't."""
        segments = self.arena.unregistered(placed)
        try:
            if segments and not self._swept:
                self._swept = True
                await sweep(self._inner.ask, Question("shared_memory"), self._releases.let_go, deadline)
            if segments and self._releases:
                await self._releases.go_on(deadline)
            for segment in segments:
                await self._map(segment, request.headers, deadline)
        except (ServerUnavailable, DeadlineExceeded) as error:
            self._discard(placed)  # the server may have mapped it
            if lacks_endpoint(error):
                self._give_up(f"the server at {self.url} maps no memory: {error.reason}")
                return False
            error.tell_of(self._target(request), sent=False)
            raise
        except (InvalidRequest, InferenceFailed, ModelNotFound) as error:
            self._discard(placed)
            self._give_up(f"the server at {self.url} can't map this machine's memory: {error.reason}")
            return False
        except BaseException:
            self._discard(placed)
            raise
        return True

    def _discard(self, placed: Placed) -> None:
        """Let go of the segment of a request that was given up; the server lets go of it when it has ended there.

        One that it is being told of, the server can't map once it is removed here.
        """
        if placed.segment is not None:
            self._releases.add(placed.segment.name)
        self.arena.discard(placed)

    def _leave(self, segment: Segment) -> None:
        """Have the server let go of a segment, sooner or later."""
        self._releases.add(segment.name)
        self.arena.forget(segment.name)

    async def _map(self, segment: Segment, headers: Headers, deadline: Deadline) -> None:
        self.arena.told.add(segment.name)
        try:
            await self._inner.ask(registration(segment)._replace(headers=headers), deadline)
        except (InvalidRequest, InferenceFailed) as error:
            if not is_known_already(error):
                raise
        self.arena.registered.add(segment.name)

    def _target(self, request: Request) -> Target:
        return Target(self.url, request.model, request.version, request.id)

    def _give_up(self, reason: str) -> None:
        self._usable = False
        _LOG.info("large tensors go over the wire: %s", reason)
