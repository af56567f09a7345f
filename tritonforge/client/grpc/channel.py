"""A channel of grpcio's for calls that block; and for large messages in an event loop, too."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import grpc

from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.exchange import INFER, LARGE, SETTLED, STREAM, GrpcExchange, path
from tritonforge.client.grpc.questions import SUBJECTS
from tritonforge.client.message import Headers

__all__ = ["Channel", "LargeStream"]


class Channel:
    """A channel of one process, and its procedures.

    A call that is given up while its message is being sent stays in the channel (grpcio 1.85) as long as the server
    reads nothing, and closing the channel waits for it. Such a channel is stuck: it takes no other call, and is closed
    by a thread that nobody waits for.
    """

    __slots__ = ("_channel", "_form", "_large", "_unsure", "infer", "owner", "procedures", "reached", "stream", "stuck")

    def __init__(self, form: GrpcExchange) -> None:
        options = {"options": form.options, "compression": form.compression}
        self._form = form
        self.owner = os.getpid()
        self.reached = False
        self.stuck = False
        self._unsure = False  # whether closing may have to wait
        self._large: set[Any] = set()
        if form.credentials is None:
            self._channel = grpc.insecure_channel(form.authority, **options)
        else:
            self._channel = grpc.secure_channel(form.authority, form.credentials, **options)
        self.infer = self._channel.unary_unary(INFER)
        self.stream = self._channel.stream_stream(STREAM)
        self.procedures = {name: self._channel.unary_unary(path(name)) for name, _ in SUBJECTS.values()}

    def reach(self, deadline: Deadline) -> None:
        """Wait until there is a connection, or can be none, which the next call tells. Raise Unreached."""
        states: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()
        note = states.put
        with connecting(deadline) as limit:
            self._channel.subscribe(note, try_to_connect=True)
            try:
                while (state := states.get(timeout=limit.left_s())) not in SETTLED:
                    pass
            except queue.Empty:
                raise TimeoutError from None
            finally:
                self._channel.unsubscribe(note)
        self.reached = state is grpc.ChannelConnectivity.READY

    def call_large(self, ask: Any, message: bytes, *, timeout: float, metadata: Headers | None) -> bytes | None:
        """Make one call with a large message, and give it up past the time. Raise RpcError, TimeoutError or, where the
        channel is closed meanwhile, RuntimeError.
        """
        call = ask.future(message, timeout=timeout, metadata=metadata)
        with self._giving_up(call, message):
            try:
                answer: bytes | None = call.result(timeout=timeout)
            except grpc.FutureTimeoutError:
                raise TimeoutError from None
            return answer

    async def await_large(self, ask: Any, message: bytes, *, timeout: float, metadata: Headers | None) -> bytes | None:
        """The same in an event loop, whose own channels keep it from closing as long as they are stuck."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        call = ask.future(message, timeout=timeout, metadata=metadata)
        call.add_done_callback(lambda _: _tell(loop, done))
        with self._giving_up(call, message):
            if not (await asyncio.wait([done], timeout=timeout))[0]:
                raise TimeoutError
            answer: bytes | None = call.result()
            return answer

    @contextmanager
    def _giving_up(self, call: Any, message: bytes) -> Iterator[None]:
        """Give a call up that isn't over by the end of the block."""
        self.note(call, message)
        over = succeeded = False
        try:
            yield
            succeeded = True
        except grpc.FutureCancelledError:
            raise self._form.closed() from None
        except grpc.RpcError as error:
            over = error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
            raise
        finally:
            if not (over or succeeded):
                call.cancel()
            self.forget(call, over=over, succeeded=succeeded)

    @property
    def usable(self) -> bool:
        """Whether it takes other calls: a forked child must not speak over its parent's connection, nor over one that
        is stuck.
        """
        return not self.stuck and self.owner == os.getpid()

    def note(self, call: Any, message: bytes) -> None:
        """Take note of a call, where its message is a large one."""
        if len(message) >= LARGE:
            self._large.add(call)

    def forget(self, call: Any, *, over: bool = False, succeeded: bool = False) -> None:
        """Forget a call that has `succeeded`; or is `over`, as the server has said; or was given up."""
        if call in self._large:
            self._large.discard(call)
            self.stuck = self.stuck or not (over or succeeded)
            self._unsure = self._unsure or not succeeded

    def close(self) -> None:
        """Cancel the calls in flight, and disconnect; nothing in a forked child."""
        if self.owner != os.getpid():
            return
        for call in tuple(self._large):
            call.cancel()
            self._unsure = True
        if self._unsure:  # there may be something to be waited for
            threading.Thread(target=self._channel.close, name="tritonforge-closing", daemon=True).start()
        else:
            self._channel.close()


class LargeStream:
    """A stream with a large request in an event loop, as one of the loop's own channels: a thread of its own waits for
    its responses.
    """

    def __init__(self, channel: Channel, message: bytes, metadata: Headers | None, timeout: float) -> None:
        self._channel = channel
        self._call = channel.stream(iter([message]), timeout=timeout, metadata=metadata)
        self._thread = ThreadPoolExecutor(1, "tritonforge-stream")
        self._answered = self._ended = False
        channel.note(self._call, message)

    def __aiter__(self) -> LargeStream:
        return self

    async def __anext__(self) -> bytes:
        data: bytes | None = await asyncio.get_running_loop().run_in_executor(self._thread, next, self._call, None)
        if data is None:
            self._ended = True
            raise StopAsyncIteration
        self._answered = True
        return data

    def cancel(self) -> None:
        """Cancel the call, if it isn't over, which ends the thread."""
        self._call.cancel()
        self._channel.forget(self._call, over=self._answered, succeeded=self._ended)
        self._thread.shutdown(wait=False)


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
    """Have it done in its loop, if that lives."""

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settle)
