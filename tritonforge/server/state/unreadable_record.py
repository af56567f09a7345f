"""A server of `up` whose record can't be read: what is known of it all the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tritonforge.server.state.launcher_lock import ENDED

__all__ = ["UnreadableRecord"]


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """The folder of such a server, why its record can't be read, and the process that keeps it: see `holder_of`."""

    folder: Path
    reason: str
    launcher: int | None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.folder.name

    @property
    def may_run(self) -> bool:
        """Whether the server runs, as far as that can be told."""
        return self.launcher != ENDED

    def __str__(self) -> str:
        """Say what is so, and what to do."""
        remove = f"rm -r {shlex.quote(str(self.folder))}"
        if not self.may_run:
            runs, hint = "its server has ended", f"remove what it left: {remove}"
        elif self.launcher is None:
            runs, hint = "whether its server runs can't be told", f"end that, if it does, then: {remove}"
        else:
            runs, hint = f"its server runs, kept by process {self.launcher}", f"end it: kill {self.launcher}"
        return f"the record of {self.name} can't be read ({self.reason}); {runs}\n  hint: {hint}"
