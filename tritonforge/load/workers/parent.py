"""The parent's side of the worker processes."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, cast

from tritonforge.load.errors import GeneratorGone, LoadFailed
from tritonforge.load.workers.job import Connected, Finished, Job, Start, Stop, Tally
from tritonforge.load.workers.pipe import read_message, write_message

__all__ = ["Workers"]

_EXIT_S = 5.0


class Workers:
    """Some worker processes, which live from one point of a sweep to the next."""

    def __init__(self, count: int) -> None:
        command = [sys.executable, "-m", "tritonforge.load.workers.worker"]
        self._inbox: queue.Queue[tuple[int, Any]] = queue.Queue()
        # Ctrl-C goes to all of a terminal's foreground, but it is the parent that tells them to stop.
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            for _ in range(count)
        ]
        self._running = 0
        self._jobs = 0
        self.untraced: OSError | None = None
        """Why the requests of the last jobs couldn't all be written down, where they should have been."""
        self.unanswered_ns: list[int] = []
        """The ages of what had no answer at the end of the last jobs."""
        self.failed: list[str] = []
        """How what was under way at their end failed, other than by an answer."""
        self._threads = [
            threading.Thread(target=self._listen, args=(number, process.stdout), daemon=True)
            for number, process in enumerate(self._processes)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            with contextlib.suppress(OSError):
                cast(BinaryIO, process.stdin).close()
        for process, thread in zip(self._processes, self._threads, strict=True):
            try:
                process.wait(_EXIT_S if kind is None else 0.1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            thread.join(_EXIT_S)
            cast(BinaryIO, process.stdout).close()

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until all have started, which takes them longer than the first load is from now.

        Raise LoadFailed where one doesn't, GeneratorGone where it died.
        """
        for _ in self._processes:
            try:
                number, message = self._inbox.get(timeout=timeout_s)
            except queue.Empty:
                raise LoadFailed(f"a process of the load generator didn't start within {timeout_s:g} s") from None
            if message is None:
                self._dead(number)

    @property
    def running(self) -> bool:
        """Whether any of them is at its job."""
        return self._running > 0

    def connect(self, jobs: list[Job]) -> None:
        """Give each its job, at most as many as there are processes, and wait until all have their connections.

        Raise GeneratorGone where one isn't there, LoadFailed where it can't connect.
        """
        self._running = self._jobs = 0
        self.untraced = None
        self.unanswered_ns = []
        self.failed = []
        for number, job in enumerate(jobs):
            self._tell(number, job)
            self._running = self._jobs = number + 1
        for _ in jobs:
            number, message = self._inbox.get()
            if not isinstance(message, Connected):
                self._ended(number, message)

    def start(self, start: Start) -> None:
        """Have the jobs start that have connected, all by the same clock. Raise GeneratorGone where one isn't there."""
        for number in range(self._jobs):
            self._tell(number, start)

    def _tell(self, number: int, message: Job | Start) -> None:
        try:
            write_message(cast(BinaryIO, self._processes[number].stdin), message)
        except BrokenPipeError:
            self._dead(number)

    def next_tally(self, timeout_s: float) -> Tally | None:
        """Give the next tally of any of them; None when the time is over, or all have finished.

        Raise GeneratorGone where a worker died, LoadFailed where it couldn't do its job.
        """
        while self._running:
            try:
                number, message = self._inbox.get(timeout=max(timeout_s, 0.001))
            except queue.Empty:
                return None
            if isinstance(message, Tally):
                return message
            if not isinstance(message, Connected):  # which is there still where the wait for all was broken off
                self._ended(number, message)
        return None

    def _ended(self, number: int, message: Finished | None) -> None:
        self._running -= 1
        if message is None:
            self._dead(number)
        self.untraced = self.untraced or message.untraced
        self.unanswered_ns += message.unanswered_ns
        self.failed += message.failed
        if message.failure:
            raise LoadFailed(f"the load generator can't go on: {message.failure}")

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop the jobs under way, and wait until they have."""
        for process in self._processes[: self._jobs]:
            with contextlib.suppress(OSError):
                write_message(cast(BinaryIO, process.stdin), Stop())
        while self._running and self.next_tally(timeout_s) is not None:
            pass
        if self._running:
            raise LoadFailed(f"the load generator didn't stop within {timeout_s:g} s")

    def _dead(self, number: int) -> NoReturn:
        code = self._processes[number].wait(_EXIT_S)
        if code < 0:
            raise GeneratorGone(f"a process of the load generator was killed by signal {-code}{_signal_name(-code)}")
        raise GeneratorGone(f"a process of the load generator ended with {code}; its words are on standard error")

    def _listen(self, number: int, pipe: BinaryIO) -> None:
        try:
            while True:
                self._inbox.put((number, read_message(pipe)))
        except (EOFError, ValueError, OSError):
            self._inbox.put((number, None))


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:  # of a real-time signal
        return ""
