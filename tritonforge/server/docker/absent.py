"""Why no Docker daemon answers, and what to do about that."""

from __future__ import annotations

import errno
import re

from tritonforge.errors import Diagnostic, Where

__all__ = ["explain_absence", "hangs"]

_NUMBERED = re.compile(r"\[Errno (?P<number>-?\d+)\] (?P<words>[^'\"()]+)")
"""What the system says, inside of what urllib3 and requests make of it."""
_UNSUPPORTED = re.compile(r"Invalid bind address|Invalid argument|Install paramiko")
_LATE, _SILENT = "timed out", "Read timed out"
"""Of no connection in time, and of one on which nothing comes."""

_START = "start it (`systemctl start docker`), or point DOCKER_HOST at one"
_RESTART = "it is there, and hangs: restart it"
_HINTS = {
    errno.ENOENT: _START,
    errno.EACCES: "your user must be in the group docker: sudo usermod -aG docker $USER, then log in again",
    errno.ECONNREFUSED: f"that socket is of one that has ended: {_START}",
}
"""Of a socket of this machine."""
_ELSEWHERE = "start one there, or point DOCKER_HOST at another; without that variable it is this machine's"
_ADDRESSES = 'it is to be unix:///path, tcp://host:port, or ssh://host, which takes pip install "docker[ssh]"'


def hangs(error: Exception) -> bool:
    """Tell whether a daemon is there that takes connections, or has a queue full of them, and says nothing."""
    return _SILENT in str(error) or getattr(error, "errno", 0) == errno.EAGAIN


def explain_absence(error: Exception, address: str) -> Diagnostic:
    """Say what an attempt to reach a daemon came to, by the error that it raised."""
    number, words = _read(error)
    if _UNSUPPORTED.search(str(error)):
        return Diagnostic("TF530", Where(), f"DOCKER_HOST={address} is no address of a daemon: {words}", _ADDRESSES)
    here = address.startswith("unix:")
    hint = _HINTS.get(number, _START) if here else _ELSEWHERE
    if hangs(error):
        hint = (
            f"{_RESTART} (`systemctl restart docker`)" if here else f"{_RESTART} there, or point DOCKER_HOST at another"
        )
    return Diagnostic("TF530", Where(), f"no Docker daemon answers at {address}: {words}", hint)


def _read(error: Exception) -> tuple[int, str]:
    """Find the system's number and words in an error; its own text where it has none."""
    if isinstance(error, OSError) and error.errno and error.strerror:
        return error.errno, error.strerror
    text = str(error)
    if found := _NUMBERED.search(text):
        return int(found["number"]), found["words"].strip()
    return 0, "it doesn't answer in time" if _LATE in text else text
