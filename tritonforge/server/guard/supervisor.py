"""Guard one tritonserver: nothing of it outlives the process that asked for it, however that process ends.

A program of its own, on the standard library alone: `python -I -S supervisor.py FOLDER LAUNCHER_PID`. It reads lines of
JSON from its standard input: {"own": FOLDER} for another folder that it is to remove, {"launch": {command, environment,
log, shared_memory, exit_timeout_s, secret, log_limit, kill_signal}}, then "stop" and "kill". Arguments that hold the
secret are hidden; a log of more bytes than the limit is put aside, and begun anew. The end of that input, or of the
launcher, means "stop" too; {"stop": PORT} closes idle connections to that port, for which the server would wait. It
writes the server's process id to its standard output, and ends with the server's exit code (128 + the signal's number
if it was killed), after it has removed the server's processes, its segments in /dev/shm whose names begin with
`shared_memory`, and the folders.

It adopts the orphans among its descendants (PR_SET_CHILD_SUBREAPER), so that a model's process that outlives the server
becomes its child, to be killed. If it is killed itself, the kernel kills the server (PR_SET_PDEATHSIG); `sweep` is for
what that leaves, and `abandoned` for what is left where the launcher was killed, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import BinaryIO

if __name__ == "__main__":  # isolated, it doesn't see the folder that it lies in
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from hidden_arguments import (  # type: ignore[import-not-found]  # the checker sees the other branch
        conceal,
        reveal,
        trace_me,
    )
    from idle_connections import QUIET_MS, close_idle  # type: ignore[import-not-found]

    del sys.path[0]  # modules of ours have names of the standard library's
else:
    from tritonforge.server.guard.hidden_arguments import conceal, reveal, trace_me
    from tritonforge.server.guard.idle_connections import QUIET_MS, close_idle

_SHARED_MEMORY = "/dev/shm"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PARENT, _SESSION = 1, 3
"""Places of fields in /proc/PID/stat, counted from the one after the name."""
_LOOK_S = 5.0
"""How often the log's size is looked at."""
_IDLE_S = 0.1
"""How often idle connections are looked for, once the server is to end."""
_BUSY_S = 2.0
"""After how much of the time that it has to end connections are closed between two requests, too: clients that go on
calling would have it answer until it is killed, amid requests."""
_AGAIN_S = 0.5
"""How often a program is told that it is to end at once: two signals at the same time are one."""
_LONGEST_S = 86_400.0
"""As long as one wait may be: the kernel counts its milliseconds in 32 bits."""
_GIVE_UP_S = 10.0
"""How long a killed process may take to be gone: it may hang in the kernel, and nothing more can be done then."""


class Supervisor:
    """One server's life: launched, perhaps told to stop, ended, cleaned up after."""

    def __init__(self, folder: str, launcher: int) -> None:
        self._folders = [folder]
        self._shared_memory = ""
        self._exit_timeout_s = 0.0
        self._log, self._log_limit = "", 0
        self._kill_signal, self._again_at = int(signal.SIGKILL), 0.0
        self._held = 0
        self._server: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self._kill_at: float | None = None
        self._idle_port, self._busy_at = 0, 0.0
        self._unread = b""
        self._signals, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in (*_STOPPING, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(sys.stdin.fileno(), select.POLLIN)
        self._poll.register(self._signals, select.POLLIN)
        self._launcher = _watch(launcher)
        if self._launcher is not None:
            self._poll.register(self._launcher, select.POLLIN)

    def run(self) -> int:
        """Serve until the server has ended, or nothing is to be launched; clean up; give the exit code."""
        try:
            while self._code is None:
                for descriptor, _ in self._poll.poll(self._patience_ms()):
                    self._handle(descriptor)
                self._enforce()
                self._close_idle()
                if self._log_limit and self._code is None:  # the last words stay where they are looked for
                    put_aside(self._log, self._log_limit)
        finally:
            kill_children()
            remove(self._folders, self._shared_memory)
        return self._code if self._code >= 0 else 128 - self._code

    def _patience_ms(self) -> float | None:
        """Give how long to wait for events: until the server is to be killed, or its log looked at."""
        if self._kill_at is None:
            return _LOOK_S * 1000 if self._log_limit else None
        left_s = max(0.0, self._kill_at - time.monotonic())
        return min(left_s, _IDLE_S if self._idle_port else _LONGEST_S) * 1000 + 1

    def _handle(self, descriptor: int) -> None:
        """Take what is new: signals, the launcher's lines, the launcher's end."""
        if descriptor == self._signals:
            numbers = os.read(descriptor, 4096)
            self._reap()
            for number in numbers:
                if number in _STOPPING:
                    self._stop()
        elif descriptor == self._launcher:
            self._leave(descriptor)
        else:
            self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        """Obey the launcher's whole lines; its end of file means that it is gone."""
        data = os.read(descriptor, 1 << 16)
        if not data:
            self._leave(descriptor)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if not self._held:
                self._held = hold(self._folders[0])
            if order == "kill":
                self._kill_at = time.monotonic()
            elif order == "stop":
                self._stop()
            elif "stop" in order:
                self._idle_port = order["stop"]
                self._stop()
            elif "own" in order:
                self._folders.append(order["own"])
                print("own", flush=True)
            else:
                self._launch(**order["launch"])

    def _leave(self, descriptor: int) -> None:
        """Hear no more of a launcher that is gone, and stop."""
        self._poll.unregister(descriptor)
        if self._kill_at is None:
            self._stop()

    def _launch(
        self,
        command: list[str],
        environment: dict[str, str],
        log: str,
        shared_memory: str,
        exit_timeout_s: float,
        secret: str,
        log_limit: int,
        kill_signal: int,
    ) -> None:
        """Start the server, in this session, so that a signal from a terminal doesn't reach it."""
        self._shared_memory, self._exit_timeout_s = shared_memory, exit_timeout_s
        self._log, self._log_limit, self._kill_signal = log, log_limit, kill_signal
        shown, enriched, hidden = conceal(command, environment, secret)
        with open(log, "ab") as output:
            try:
                process = self._start(shown, enriched, output, stopped=bool(hidden))
            except subprocess.SubprocessError:  # no ptrace here: a container's or a system's rule
                output.write(b"tritonforge: ptrace is forbidden here; `ps` shows the key of the restricted APIs\n")
                output.flush()
                process, hidden = self._start(command, environment, output, stopped=False), {}
        self._process, self._server = process, process.pid  # held: its finalizer would take an end that is there by now
        if hidden:
            reveal(process.pid, hidden)
        print(process.pid, flush=True)

    def _start(
        self, command: list[str], environment: dict[str, str], output: BinaryIO, *, stopped: bool
    ) -> subprocess.Popen[bytes]:
        """Start a process that dies with this one; `stopped` at its first instruction, for its arguments."""
        supervisor = os.getpid()

        def prepare() -> None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)
            if stopped:
                trace_me()

        return subprocess.Popen(
            command,
            env=environment,
            cwd=self._folders[0],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=prepare,  # noqa: PLW1509  there is only one thread here
        )

    def _stop(self) -> None:
        """Ask the server to finish; told so twice, kill it."""
        if self._server is None:
            self._code = 0
        elif self._kill_at is not None:
            self._kill_at = time.monotonic()
        else:
            now = time.monotonic()
            self._kill_at = now + self._exit_timeout_s
            self._busy_at = now + min(_BUSY_S, self._exit_timeout_s / 2)
            self._close_idle()  # first: the server looks for connections once a second
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._server, signal.SIGTERM)

    def _close_idle(self) -> None:
        """Close connections on which nothing is under way, where that was asked for and the system allows it."""
        if self._idle_port and self._server is not None and self._code is None:
            quiet_ms = 0 if time.monotonic() >= self._busy_at else QUIET_MS
            try:
                close_idle(self._server, self._idle_port, quiet_ms=quiet_ms)
            except OSError:
                self._idle_port = 0

    def _enforce(self) -> None:
        """Kill the server when its time is up; past any hope, count it as killed."""
        if self._kill_at is None or self._server is None or self._code is not None:
            return
        now = time.monotonic()
        late_s = now - self._kill_at
        if late_s >= 0:
            if now >= self._again_at:
                self._again_at = now + _AGAIN_S
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._server, self._kill_signal)
            time.sleep(0.005)
            self._reap()
        if late_s >= (_GIVE_UP_S if self._kill_signal == signal.SIGKILL else 3 * _GIVE_UP_S) and self._code is None:
            self._code = -signal.SIGKILL

    def _reap(self) -> None:
        """Bury the children that have ended, adopted ones too; note the server's exit code."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._server:
                    self._code = os.waitstatus_to_exitcode(status)


def kill_children() -> None:
    """Kill this process's children, and theirs as they are adopted, until none is left."""
    give_up = time.monotonic() + _GIVE_UP_S
    while (children := list(_processes(_PARENT, os.getpid()))) and time.monotonic() < give_up:
        kill(children)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def hold(folder: str) -> int:
    """Lock a folder as long as this process lives, so that nobody takes it for an abandoned one; others may, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.suppress(OSError):  # a file system without locks, on which nobody sweeps
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def put_aside(log: str, limit: int) -> None:
    """Begin a log anew that has grown beyond a limit; what it has goes to LOG.1, in the place of what was there.

    The server goes on writing to the same file, at its new end (it is opened to append). What it writes between the
    end of the copy and the cut is lost. Where there is no room for the copy, the log is cut all the same.
    """
    with contextlib.suppress(OSError):
        if os.stat(log).st_size <= limit:
            return
        older = f"{log}.1"
        try:
            shutil.copy(log, older)  # with its mode
        except OSError:
            os.unlink(older)
        finally:
            os.truncate(log, 0)


def remove(folders: Iterable[str], shared_memory: str) -> None:
    """Remove folders, and the segments of shared memory whose names begin so."""
    if shared_memory:
        with contextlib.suppress(OSError):
            for name in os.listdir(_SHARED_MEMORY):
                if name.startswith(shared_memory):
                    os.unlink(os.path.join(_SHARED_MEMORY, name))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(session: int, folders: Iterable[str], shared_memory: str) -> None:
    """Clean up after a supervisor that was killed: kill what is left of its session, then remove what it would have.

    Those are no children of the caller: they are gone when the kernel says so.
    """
    give_up = time.monotonic() + _GIVE_UP_S
    while (processes := list(_processes(_SESSION, session))) and time.monotonic() < give_up:
        kill(processes)
        time.sleep(0.002)
    remove(folders, shared_memory)


def _processes(field: int, value: int) -> Iterable[int]:
    """Find the processes with this value in a field of /proc/PID/stat, zombies of others' excepted."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                if int(fields[field]) == value and (field == _PARENT or fields[0] != b"Z"):
                    yield int(name)


def kill(processes: Iterable[int]) -> None:
    """Kill processes that may be gone already."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _watch(pid: int) -> int | None:
    """Open a descriptor that becomes readable when a process ends; None where the system has none (Linux < 5.3)."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> int:
    """Run as a program."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return Supervisor(sys.argv[1], int(sys.argv[2])).run()


if __name__ == "__main__":
    sys.exit(main())
