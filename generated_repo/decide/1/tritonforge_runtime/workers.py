"""Threads that run what is put in a queue: as ThreadPoolExecutor's, without what its futures cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Workers"]


class Workers:
    """Threads of one instance; as many as ever were busy at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._count = 0

    def run(self, work: Callable[[], None]) -> None:
        """Run something in a thread, which must not raise."""
        with self._lock:
            fresh = self._idle == 0
            self._idle -= not fresh
            self._count += fresh
        self._queue.put(work)
        if fresh:
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()

    def close(self) -> None:
        """End the threads when what was put in the queue is done."""
        for _ in range(self._count):
            self._queue.put(None)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            with self._lock:
                self._idle += 1
