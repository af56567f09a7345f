"""A temporary folder and its guard: what is put there and started from there doesn't outlive this process."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from tritonforge.repository_files import stub_safe
from tritonforge.server.errors import ServerError
from tritonforge.server.guard import supervisor
from tritonforge.server.guard.abandoned import MARK, hold_new, note, sweep_abandoned
from tritonforge.server.patience import await_end

__all__ = ["Workspace"]

_CLEANING_S = 30.0
"""How long the supervisor may take beyond the exit timeout before it counts as stuck."""


class Workspace:
    """A folder, and a supervising process that removes it at the end, after whatever was launched from it.

    The end is `close()`, or the end of this process, be it by SIGKILL. One program can be launched.
    """

    def __init__(self, *, log: Path | None = None) -> None:
        self.token = secrets.token_hex(8)
        name = f"tritonforge-{self.token}"
        temporary = _temporary()
        self.folder = temporary / name
        self._own = [self.folder]
        self.shared_memory = f"{name}-"
        self.server_pid: int | None = None
        self.at_end: list[Callable[[int], None]] = []
        """Called once, with the exit code, when the program has ended and everything is removed."""
        self._log = log
        self._exit_timeout_s = 0.0
        self._owner = os.getpid()
        self._asked = False
        bytecode = ["-B"] if sys.dont_write_bytecode else []  # isolated, it doesn't heed the variable for that
        command = [sys.executable, "-I", "-S", *bytecode, supervisor.__file__, str(self.folder), str(self._owner)]
        # A log that was given is that of a server without a terminal: one must not be held open for its sake.
        with contextlib.ExitStack() as stack:
            errors = stack.enter_context(log.open("ab")) if log else None
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, cwd="/"
            )
        self._held: int | None = hold_new(self.folder)
        sweep_abandoned(temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def log(self) -> Path:
        """The file that takes what the launched program writes; one that was given outlives it."""
        return self._log or self.folder / "server.log"

    def own(self, folder: Path) -> Path:
        """Make a folder elsewhere, which goes as this one does.

        Raises:
            OSError: it is there already, or can't be made.
        """
        if folder.exists():
            raise FileExistsError(errno.EEXIST, "another's folder is in the way", str(folder))
        note(self.folder, folder)
        self._tell({"own": str(folder)})
        self._hear()  # from here on it is removed, whatever happens
        self._own.append(folder)
        folder.mkdir(mode=0o700)
        return folder

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        exit_timeout_s: float,
        secret: str = "",
        log_limit: int = 0,
        kill_signal: int = signal.SIGKILL,
    ) -> None:
        """Start a program, in the folder; `exit_timeout_s` is what it has between SIGTERM and `kill_signal`.

        Arguments that hold `secret` are hidden from `ps`; where the system has no way to, the log says so. A log of
        more bytes than `log_limit` is put aside, with .1 added to its name, and begun anew; 0 lets it grow. A
        program whose `kill_signal` is another than SIGKILL has thirty more seconds to end at once.

        Raises:
            ServerError: the program can't be started.
        """
        if self.server_pid is not None:
            raise ServerError("this workspace has launched its server already; open another workspace")
        self._exit_timeout_s = exit_timeout_s
        order = {
            "command": list(command),
            "environment": {**environment, MARK: str(self.folder)},
            "log": str(self.log),
            "shared_memory": self.shared_memory,
            "exit_timeout_s": exit_timeout_s,
            "secret": secret,
            "log_limit": log_limit,
            "kill_signal": int(kill_signal),
        }
        self._tell({"launch": order})
        answer = self._hear()
        if not answer.strip():
            self.close()
            raise ServerError(f"{command[0]} could not be started; the supervising process said why on standard error")
        self.server_pid = int(answer)

    def poll(self) -> int | None:
        """Give the exit code, once the program has ended and everything is removed; None until then."""
        code = self._process.poll()
        return None if code is None else self._settle(code)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the program to end by itself, and give its exit code; None if the time was up first."""
        code = await_end(self._process, timeout_s)
        return None if code is None else self._settle(code)

    def close(self, *, idle_port: Callable[[], int] = lambda: 0) -> int:
        """Have everything stopped and removed; wait for that; give the program's exit code (0 if there was none).

        `idle_port` may give a port of the program's whose idle connections are to be closed, and is asked once: see
        `idle_connections`. A KeyboardInterrupt while waiting kills what is left, and passes on. In a process forked
        from the one that opened this it does nothing.
        """
        if os.getpid() != self._owner:
            return 0
        try:
            if not self._asked:
                self._asked = True
                port = idle_port()
                self._tell({"stop": port} if port else "stop")
            return self._finish(self._exit_timeout_s + _CLEANING_S)
        except KeyboardInterrupt:
            self._tell("kill")
            self._finish(_CLEANING_S)
            raise

    def kill(self) -> None:
        """Leave what was launched no more time, once it is told to stop; a signal handler may call this."""
        self._process.send_signal(signal.SIGTERM)  # the supervisor's second word

    def _finish(self, patience_s: float) -> int:
        """Wait for the supervisor's end; kill it if it is stuck."""
        code = self.wait(patience_s)
        if code is None:
            self._process.kill()
            code = self._settle(self._process.wait())
        return code

    def _settle(self, code: int) -> int:
        """Close the pipes; clean up in the supervisor's place if it was killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._held is not None:
            os.close(self._held)
            self._held = None
        if code < 0:
            supervisor.sweep(self._process.pid, [str(folder) for folder in self._own], self.shared_memory)
            code = 128 + signal.SIGKILL
        while self.at_end:
            self.at_end.pop()(code)
        return code

    def _hear(self) -> bytes:
        """Read a line of the supervisor's; nothing if it is gone."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _tell(self, order: object) -> None:
        """Write a line to the supervisor, which may be gone."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()


def _temporary() -> Path:
    """Give the system's folder for temporary files; /tmp if a stub can't be started from there."""
    folder = Path(tempfile.gettempdir()).resolve()
    return folder if stub_safe(str(folder)) else Path("/tmp")
