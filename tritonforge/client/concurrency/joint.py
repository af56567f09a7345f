"""What several want at once, done by one of them: the others wait for it, each within its own time."""

from __future__ import annotations

import asyncio
import threading
from typing import Generic, Protocol, TypeVar

from tritonforge.client.concurrency.forks import watch_forks
from tritonforge.client.concurrency.loops import PerLoop
from tritonforge.client.concurrency.waits import within

__all__ = ["Joint", "JointOfTasks", "JointOfThreads", "Work"]

K = TypeVar("K")
T = TypeVar("T")


class Bell(Protocol):
    """What one who waits is woken by."""

    def set(self) -> object:
        """Wake it."""


class Work(Generic[T]):
    """What one does for all. Once it is over it has a `result`, or the `error` to tell; neither where it was given up.

    `timeout_s` is how long whoever does it was given, `by` what tells them from others, `thread` in which it is done.
    It needs no lock, which a fork could find held: lists grow in one step, and who waits looks whether it is over after
    it has said that it waits.
    """

    __slots__ = ("_bells", "by", "error", "over", "result", "thread", "timeout_s")

    def __init__(self, timeout_s: float, by: object = None) -> None:
        self.timeout_s = timeout_s
        self.by = by
        self.thread = threading.get_ident()
        self.result: T | None = None
        self.error: Exception | None = None
        self.over = False
        self._bells: list[Bell] = []

    def expect(self, bell: Bell) -> None:
        """Have it rung once it is over."""
        self._bells.append(bell)
        if self.over:
            bell.set()

    def end(self) -> None:
        """Wake who waits."""
        self.over = True
        for bell in list(self._bells):
            bell.set()


class Joint(Protocol[K, T]):
    """The works under way, by what they are for."""

    def works(self) -> dict[K, Work[T]]:
        """Give those that the caller can wait for."""

    async def wait(self, work: Work[T], seconds: float) -> bool:
        """Wait until one is over, so many seconds at most; tell whether it is."""


class JointOfThreads(Generic[K, T]):
    """Those of threads that block. A forked child has none: who did them isn't there."""

    __slots__ = ("__weakref__", "_works")

    def __init__(self) -> None:
        self._works: dict[K, Work[T]] = {}
        watch_forks(self)

    def works(self) -> dict[K, Work[T]]:
        """Give those of all threads."""
        return self._works

    async def wait(self, work: Work[T], seconds: float) -> bool:
        """Block the thread; not for what it does itself, as where a signal's handler has come in between."""
        if work.thread == threading.get_ident():
            return work.over
        bell = threading.Event()
        work.expect(bell)
        return bell.wait(seconds)

    def after_fork(self) -> None:
        """Let go of what threads of the parent do."""
        self._works = {}


class JointOfTasks(Generic[K, T]):
    """Those of tasks, each loop's apart: one that stands still keeps no other waiting."""

    __slots__ = ("_works",)

    def __init__(self) -> None:
        self._works: PerLoop[dict[K, Work[T]]] = PerLoop(dict, dict.clear)

    def works(self) -> dict[K, Work[T]]:
        """Give those of the running loop."""
        return self._works.get()

    async def wait(self, work: Work[T], seconds: float) -> bool:
        """Let other tasks run meanwhile."""
        bell = asyncio.Event()
        work.expect(bell)
        try:
            return await within(seconds, bell.wait())
        except TimeoutError:
            return False
