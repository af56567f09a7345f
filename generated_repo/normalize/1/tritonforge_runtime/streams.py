"""The execution of decoupled models: one request gives a stream of responses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from .batch import Inputs, rows
from .errors import CAUGHT, InvalidResult
from .failure import Failures
from .outputs import Outputs
from .spec import ModelSpec
from .wire import Request, Sender, Wire

__all__ = ["Streams"]

_MOST_STREAMS = 64
"""How many streams an instance runs at once. Past that `execute` waits, and further requests queue in the server."""

_CANCELLATION_S = 0.01
"""How often a stream asks whether its client has gone: it costs a round trip to the server's process."""

_CLOSING_S = 5.0


class Streams:
    """Runs a generator function, one thread for each stream.

    Threads, because a stream mostly waits (for the next token, frame or message) and may last for hours: neither the
    requests that came with it nor those that come later may wait for its end. The user's function so runs several
    times at once, as it would behind any threaded web server.
    """

    def __init__(self, spec: ModelSpec, wire: Wire, function: Callable[..., Any], failures: Failures) -> None:
        self._wire = wire
        self._function = function
        self._failures = failures
        self._outputs = Outputs(spec)
        self._names = spec.arguments
        self._free = threading.BoundedSemaphore(_MOST_STREAMS)
        self._running: set[threading.Thread] = set()
        self._closing = False

    def __call__(self, requests: Sequence[Request]) -> None:
        """Start a stream for each request; the responses go out by themselves."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._begin(sender, self._wire.read(request))
            except CAUGHT as error:
                self._fail(sender, error)

    def close(self) -> None:
        """End all streams at their next response; wait for them, but not for ever."""
        self._closing = True
        deadline = monotonic() + _CLOSING_S
        for thread in list(self._running):
            thread.join(max(0.0, deadline - monotonic()))

    def _begin(self, sender: Sender, inputs: Inputs) -> None:
        self._free.acquire()
        thread = threading.Thread(target=self._serve, args=(sender, inputs), name="stream", daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads
            self._running.discard(thread)
            self._free.release()
            raise

    def _serve(self, sender: Sender, inputs: Inputs) -> None:
        try:
            self._stream(sender, inputs)
        except CAUGHT as error:
            self._fail(sender, error)
        finally:
            self._running.discard(threading.current_thread())
            self._free.release()

    def _stream(self, sender: Sender, inputs: Inputs) -> None:
        """Send what the function yields; the final flag goes out once, whatever happens."""
        expected = rows(inputs)
        results = self._start(inputs)
        try:
            asked = monotonic()
            for result in results:
                now = monotonic()
                if self._closing or (now - asked > _CANCELLATION_S and sender.is_cancelled()):
                    self._cancel(sender)
                    return
                asked = now if now - asked > _CANCELLATION_S else asked
                self._wire.send(sender, self._wire.response(self._outputs.arrange(result, expected)))
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
        self._wire.finish(sender)

    def _start(self, inputs: Inputs) -> Iterator[object]:
        results = self._function(**dict(zip(self._names, inputs, strict=True)))
        if not isinstance(results, Iterator):
            raise InvalidResult(f"returned {type(results).__name__}; wanted an iterator, as a generator function gives")
        return results

    def _fail(self, sender: Sender, error: BaseException) -> None:
        self._failures.log(error, "stream failed")
        # The client may be gone, or the final flag may be out already: then there is nobody left to tell.
        with suppress(Exception):
            self._wire.finish(sender, self._wire.error(*self._failures.describe(error)))

    def _cancel(self, sender: Sender) -> None:
        reason = "the model is being unloaded" if self._closing else "the client cancelled the request"
        code = "UNAVAILABLE" if self._closing else "CANCELLED"
        with suppress(Exception):
            self._wire.finish(sender, self._wire.error(reason, code))
