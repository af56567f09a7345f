"""What the parent says to a worker process amid a job."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tritonforge.load.workers.job import Start, Stop
from tritonforge.load.workers.pipe import read_message

__all__ = ["Orders"]


class Orders:
    """Hears on a pipe when one job is to start, and that it is to stop, which the pipe's end says, too."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._stopped = False

    @contextlib.contextmanager
    def heard(self, stop: Callable[[], None]) -> Iterator[asyncio.Future[Start | None]]:
        """Give the time of the start to come, None where it is to stop before; `stop` is called when it is to stop."""
        loop, pipe = asyncio.get_running_loop(), self._pipe.fileno()
        start: asyncio.Future[Start | None] = loop.create_future()

        def hear() -> None:
            order = self._next()
            if not start.done():
                start.set_result(order if isinstance(order, Start) else None)
            if isinstance(order, Stop):
                self._stopped = True
                loop.remove_reader(pipe)
                stop()

        loop.add_reader(pipe, hear)
        try:
            yield start
        finally:
            loop.remove_reader(pipe)

    def finish(self) -> None:
        """Wait until the parent has told it to stop, though it may have ended by itself."""
        os.set_blocking(self._pipe.fileno(), True)  # uvloop's reader made it otherwise
        while not self._stopped:
            self._stopped = isinstance(self._next(), Stop)

    def _next(self) -> Start | Stop:
        try:
            order: Start | Stop = read_message(self._pipe)  # so short that it is there whole
        except EOFError:
            return Stop()
        return order
