"""Which process is meant: an id alone may be another's by now, after it ended or the machine was started again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessIdentity", "identify"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 19
"""The place of `starttime` in /proc/PID/stat, counted from the field after the name."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: its id, when it started (ticks after the boot), and which boot that was."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Tell whether this very process still runs; one that has ended and waits to be buried doesn't."""
        return identify(self.pid) == self


def identify(pid: int) -> ProcessIdentity | None:
    """Look a process up; None if there is none of this id."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = _BOOT.read_text().strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else ProcessIdentity(pid, int(fields[_STARTED]), boot)
