"""What can go wrong around a server: it can't start, doesn't get ready, dies, or refuses a model."""

from __future__ import annotations

import signal

from tritonforge.errors import DiagnosticError, TritonForgeError

__all__ = [
    "DaemonHangs",
    "ModelLoadError",
    "PreflightError",
    "ServerDied",
    "ServerError",
    "ServerTimeout",
    "SettingsError",
]


class ServerError(TritonForgeError):
    """The base of every error about a running or starting server."""


class Uncontrolled(ServerError):
    """A server that loads and unloads no model for who asks: its model control isn't explicit, or wants a key."""


class SettingsError(ServerError, DiagnosticError):
    """Settings that can't be: a port out of range, a flag that tritonforge sets itself."""


class PreflightError(ServerError, DiagnosticError):
    """What this machine, or the repository, lacks for a server to start. Nothing was started."""


class DaemonHangs(PreflightError):
    """A Docker daemon takes connections, and says nothing: its containers run on, and can't be ended."""


class ModelLoadError(ServerError, DiagnosticError):
    """Models that the server could not load, one diagnostic each. The server has been stopped.

    `log` is all that the server and the models had written until then.
    """

    log: str = ""


class ServerDied(ServerError):
    """The server ended by itself. `exit_code` is 128 + the signal's number if it was killed; `log` all it wrote.

    `cause` says both in words, without the log. `hint` is how to mend it, where that is known.
    """

    def __init__(self, exit_code: int, last_words: str, *, log: str = "", hint: str = "") -> None:
        self.exit_code = exit_code
        self.log = log
        self.cause = f"tritonserver ended with code {exit_code}{_signal(exit_code)}"
        said = f"; its last words:\n{last_words}" if last_words else ", and said nothing before"
        super().__init__(f"{self.cause}{said}" + (f"\n  hint: {hint}" if hint else ""))


class ServerTimeout(ServerError):
    """The server was not ready in time; it has been stopped. `log` is all that it had written."""

    def __init__(self, ready_timeout_s: float, waiting_for: str, last_words: str, *, log: str = "") -> None:
        self.log = log
        super().__init__(
            f"the server was not ready within {ready_timeout_s:g} s: {waiting_for}\n"
            f"  hint: give it longer with --timeout, ready_timeout_s= or TRITONFORGE_READY_TIMEOUT_S\n"
            + (f"the end of its log:\n{last_words}" if last_words else "it had written nothing")
        )


def _signal(exit_code: int) -> str:
    """Name the signal that an exit code above 128 stands for."""
    if exit_code <= 128:
        return ""
    try:
        name = signal.Signals(exit_code - 128).name
    except ValueError:
        return ""
    killed = ": it, or the process that guards it, was killed from outside, or for want of memory"
    return f" ({name}{killed if name == 'SIGKILL' else ''})"
