"""gRPC through TLS: prepared messages over grpcio, which is slower than the frames of `grpc`."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from tritonforge.load.links.lane import Events, Lane
from tritonforge.load.links.stream_message import only_ends, stream_error
from tritonforge.load.trust import TlsFiles
from tritonforge.load.workers.job import Target

__all__ = ["TlsLink"]

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))
_SETTLED = (
    grpc.ChannelConnectivity.READY,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
    grpc.ChannelConnectivity.SHUTDOWN,
)


class TlsLink:
    """One channel for many lanes; each request is a call of its own."""

    def __init__(self, target: Target, events: Events, *, stream: bool) -> None:
        tls = target.tls or TlsFiles()
        options = (*_OPTIONS, *tls.channel_options)
        self._channel = grpc.aio.secure_channel(target.authority, tls.credentials(), options)
        self._method: Any = (self._channel.stream_stream if stream else self._channel.unary_unary)(target.method)
        self._metadata = [(name.lower(), value) for name, value in target.headers]
        self._events, self._stream = events, stream
        self._tasks: dict[Lane, asyncio.Task[None]] = {}

    async def connect(self) -> None:
        """Wait for the connection, or until it fails: why, a call tells."""
        while (state := self._channel.get_state(try_to_connect=True)) not in _SETTLED:
            await self._channel.wait_for_state_change(state)

    def send(self, lane: Lane, data: bytes) -> None:
        """Start a call."""
        call = self._stream_of(lane, data) if self._stream else self._unary(lane, data)
        self._tasks[lane] = asyncio.get_running_loop().create_task(call)

    def abandon(self, lane: Lane) -> None:
        """Cancel the call under way."""
        task = self._tasks.pop(lane, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _unary(self, lane: Lane, data: bytes) -> None:
        try:
            answer = await self._method(data, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            self._events.ended(lane, _words(error), b"")
        else:
            self._events.ended(lane, "", answer)

    async def _stream_of(self, lane: Lane, data: bytes) -> None:
        try:
            wrong = ""
            async for message in self._method(iter([data]), metadata=self._metadata):
                wrong = stream_error(message) or wrong
                if not wrong and not only_ends(message):
                    self._events.responded(lane)
        except grpc.aio.AioRpcError as error:
            self._events.ended(lane, _words(error), b"")
        else:
            self._events.ended(lane, wrong, b"")


def _words(error: grpc.aio.AioRpcError) -> str:
    return f"gRPC {error.code().value[0]}: {error.details()}"
