"""Loading models again in a running server: what the repository has now, or what it had if that doesn't load."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tritonforge.server.control import load_model
from tritonforge.server.errors import ServerError
from tritonforge.server.health import Health
from tritonforge.server.repository import is_model
from tritonforge.server.snapshot import Refresh, changed_models, refresh
from tritonforge.server.sources import read_sources

__all__ = ["Served", "reload_model"]

_LOCK = ".lock"
_STEP = re.compile(r'\bmodel_name\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Served:
    """Where a server's models lie: `repository`, the user's; `folder`, what the server reads, a snapshot if another.

    `projects` are folders to look for the user's sources in, when an error in one is told.
    """

    repository: Path
    folder: Path
    projects: tuple[Path, ...] = ()

    @property
    def snapshot(self) -> bool:
        """Whether the server has a tree of its own."""
        return self.folder.exists() and not os.path.samefile(self.repository, self.folder)

    def changed(self) -> list[str]:
        """Name the models that the repository has otherwise than the server; none where it reads that itself."""
        return changed_models(self.repository, self.folder) if self.snapshot else []


def reload_model(health: Health, model: str, served: Served, *, read_log: Callable[[], str]) -> None:
    """Load what the repository now has of a model; it is loaded again where nothing changed, too (a process that died).

    Of an ensemble the changed members are loaded first. Where a model doesn't load, the old version goes on serving
    (seen in 24.10), and its files are put back.

    Raises:
        ModelLoadError: it failed to load, with the reason.
        ServerError: the server doesn't answer, its model control is not explicit, or there is no such model.
    """
    if not is_model(served.repository / model):
        raise ServerError(f"there is no model {model} in {served.repository}; `tritonforge status` lists the models")
    before = len(read_log())
    sources = read_sources(served.repository, served=served.folder, projects=served.projects)
    with _locked(served) if served.snapshot else nullcontext():
        for name in (*_changed_members(model, served), model):
            change = _renew(served, name)
            try:
                load_model(health, name, sources=sources, read_log=lambda: read_log()[before:])
            except BaseException:
                if change is not None:
                    change.undo()
                raise
            if change is not None:
                change.keep()


def _changed_members(model: str, served: Served) -> list[str]:
    """Name the models that an ensemble is made of, if the repository has them otherwise than the server."""
    members, found = [model], set[str]()
    while members:
        config = served.repository / members.pop() / "config.pbtxt"
        text = config.read_text(errors="replace") if config.is_file() else ""
        if "ensemble_scheduling" in text:
            steps = set(_STEP.findall(text)) - found
            found |= steps
            members += sorted(steps)
    return [name for name in served.changed() if name in found and name != model] if found else []


def _renew(served: Served, model: str) -> Refresh | None:
    """Bring the snapshot up to date, or, without one, mark the model as changed: Triton looks at folders' times."""
    if served.snapshot:
        return refresh(served.repository, served.folder, model)
    for folder in (served.repository / model).iterdir():
        if folder.name.isdecimal() and os.access(folder, os.W_OK):
            os.utime(folder)
    return None


@contextmanager
def _locked(served: Served) -> Iterator[None]:
    """Let one process at a time change a snapshot."""
    with (served.folder.parent / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
