"""Builds in a process of their own, which is kept for the next, and can be ended where an import doesn't end."""

from __future__ import annotations

import json
import os
import re
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from tritonforge.errors import Where
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.watching.build_worker import DOING, ORDERS, OUTCOMES

__all__ = ["BuildProcess", "Outcome"]

_PROGRAM = """
import json, sys
request = json.loads(sys.argv[1])
sys.path[:] = request.pop("path")
from pathlib import Path
from tritonforge.server.watching.build_worker import serve
serve(Path(request.pop("folder")), **request)
"""

_SLOW_S = 3.0
_TRACE_S = 2.0
"""What a build that takes long has to write down where it is."""
_EXIT_S = 1.0
"""What a build that is given up has to put away what it was writing."""
_CHUNK = 1 << 16
_SIGNALLED = 128
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$', re.MULTILINE)
"""A frame as faulthandler writes it, the innermost first; of several threads the main one comes last."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a build: what it warned of; or, as it failed, why."""

    warnings: tuple[str, ...] = ()
    failure: str = ""


class BuildProcess:
    """Builds some definitions into a repository, one build at a time; what modules write goes to `log`.

    Nothing of it outlives the block, nor this process.
    """

    def __init__(
        self, sources: Sequence[Path], repository: Path, *, target: str, log: Path, slow_s: float = _SLOW_S
    ) -> None:
        self.log = log
        self._sources = [path.resolve() for path in sources]
        self._order = {"sources": list(map(str, sources)), "repository": str(repository), "target": target}
        self._slow_s = slow_s
        self._workspace: Workspace | None = None
        self._pipes: tuple[int, ...] = ()
        self._heard = b""
        self._since = 0.0

    def start(self) -> None:
        """Begin a build.

        Raises:
            ServerError: its process can't be started.
        """
        if self._workspace is not None and self._workspace.poll() is not None:  # killed, since the last build
            self.give_up()
        if self._workspace is None:
            self._launch()
        self._since = time.monotonic()
        os.write(self._pipes[0], json.dumps(self._order).encode() + b"\n")

    def poll(self, timeout_s: float) -> Outcome | None:
        """Wait for the build's end, and give what became of it; None if the time was up first."""
        assert self._workspace is not None
        if select.select(self._pipes[1:], [], [], timeout_s)[0]:
            self._heard += os.read(self._pipes[1], _CHUNK)
            if self._heard.endswith(b"\n"):
                found, self._heard = json.loads(self._heard), b""
                return Outcome(tuple(found["warnings"]), found["failure"])
        elif (code := self._workspace.poll()) is not None:
            self.give_up()
            how = f"signal {code - _SIGNALLED}" if code > _SIGNALLED else f"exit code {code}"
            return Outcome(failure=f"the process that imports the definitions ended amid the build, with {how}")
        return None

    def doing(self) -> str:
        """Say of a build that takes long what it is at: `importing serving.py:3`; empty before that."""
        late_s = time.monotonic() - self._since - self._slow_s
        if self._workspace is None or late_s < 0:
            return ""
        doing = self._workspace.folder / DOING
        trace = doing.read_text(errors="replace") if doing.is_file() else ""
        frames = [frame for frame in _FRAME.finditer(trace[trace.rfind("\nThread 0x") :]) if self._own(frame["file"])]
        if not frames:  # yet, or it can't write where it is
            return "building" if late_s > _TRACE_S else ""
        place = Where(frames[0]["file"], int(frames[0]["line"]))
        return f"{'importing' if any(frame['name'] == '<module>' for frame in frames) else 'building'} {place}"

    def give_up(self) -> None:
        """End the build that is under way, and all that it has started."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes, self._heard = (), b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.give_up()

    def _launch(self) -> None:
        self._workspace = Workspace(log=self.log)
        folder = self._workspace.folder
        for name in (ORDERS, OUTCOMES):
            os.mkfifo(folder / name, 0o600)
            # For both ways, so that neither side waits until the other is there.
            self._pipes += (os.open(folder / name, os.O_RDWR | os.O_CLOEXEC),)
        (folder / "tmp").mkdir()
        path = [os.path.abspath(entry) for entry in sys.path]
        request = {"path": path, "folder": str(folder), "cwd": os.getcwd(), "slow_s": self._slow_s}
        environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-c", _PROGRAM, json.dumps(request)]
        self._workspace.launch(command, environment, exit_timeout_s=_EXIT_S)

    def _own(self, file: str) -> bool:
        """Tell whether a file is the user's: one that is named, or below a folder beside which one is."""
        folders = (path if path.is_dir() else path.parent for path in self._sources)
        return "site-packages" not in file and any(Path(file).is_relative_to(folder) for folder in folders)
