"""Loading models again in a running server: what the repository has now, or what it had if that doesn't load."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.asking.control import load_model
from tritonforge.server.asking.health import Health
from tritonforge.server.diagnosis.log import added
from tritonforge.server.diagnosis.sources import read_sources
from tritonforge.server.errors import ModelLoadError, ServerError
from tritonforge.server.repository.completion import require_complete
from tritonforge.server.repository.folder import CONFIG, config_text, is_model, model_folders
from tritonforge.server.repository.snapshot import Refresh, changed_models, forget, mark, refresh
from tritonforge.server.settings.writable import needing_room

__all__ = ["Served", "reload_model"]

_LOCK, _FAILED = ".lock", ".failed"
"""Beside the snapshot: a lock, and a folder with the reason of each model whose new files didn't load."""

_STEP = re.compile(r'\bmodel_name\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Served:
    """Where a server's models lie: `repository`, the user's; `folder`, what the server reads, a snapshot if another.

    `projects` are folders to look for the user's sources in, when an error in one is told. `definitions` are the files
    that the repository was built from, where the user knows them alone.
    """

    repository: Path
    folder: Path
    projects: tuple[Path, ...] = ()
    definitions: tuple[str, ...] = ()

    @property
    def snapshot(self) -> bool:
        """Whether the server has a tree of its own."""
        return self.folder.exists() and not os.path.samefile(self.repository, self.folder)

    def changed(self) -> list[str]:
        """Name the models that the repository has otherwise than the server; none where it reads that itself."""
        return changed_models(self.repository, self.folder) if self.snapshot else []

    def failed(self) -> dict[str, str]:
        """Give the models that the repository still has as they failed to load, each with the reason."""
        folder = self.folder.parent / _FAILED
        noted = {file.name: file.read_text() for file in sorted(folder.iterdir())} if folder.is_dir() else {}
        changed = self.changed() if noted else []
        return {name: reason for name, reason in noted.items() if name in changed}

    def note(self, model: str, failure: str) -> None:
        """Keep in mind why the repository's files of a model failed to load; empty where they did load."""
        folder = self.folder.parent / _FAILED
        if failure and self.snapshot:
            folder.mkdir(exist_ok=True)
            (folder / model).write_text(failure)
        else:
            (folder / model).unlink(missing_ok=True)

    def forget(self, model: str) -> None:
        """Have a model that was unloaded, as the repository no longer has it, count as changed once it comes back.

        Triton, too, finds none to load until then.
        """
        if self.snapshot:
            forget(self.folder, model)

    def miss(self, model: str) -> None:
        """Have a model that went with another, while the repository still has it, count as changed until it serves."""
        if self.snapshot:
            mark(self.folder, model)

    def left_over(self) -> list[str]:
        """Name the models of the server's own tree that the repository no longer has, whichever build took them away.

        None where all of it is away.
        """
        return self.gone(folder.name for folder in model_folders(self.folder)) if self.snapshot else []

    def gone(self, models: Iterable[str]) -> list[str]:
        """Name those of some models that the repository doesn't have; none where all of it is away."""
        return [name for name in models if not is_model(self.repository / name)] if self.repository.is_dir() else []


def reload_model(health: Health, model: str, served: Served, *, read_log: Callable[[], str]) -> None:
    """Load what the repository now has of a model; it is loaded again where nothing changed, too (a process that died).

    Of an ensemble the changed members are loaded first. Where a model doesn't load, the old version goes on serving
    (seen in 24.10), and its files are put back. Triton loads ensembles of the model along.

    Raises:
        ModelLoadError: it failed to load, with the reason; or is made of a model that there is none of.
        PreflightError: the disk of the server's own tree is full.
        ServerError: the server doesn't answer, its model control is not explicit, or there is no such model.
    """
    if not is_model(served.repository / model):
        raise ServerError(_unknown(model, served))
    before = len(read_log())
    sources = read_sources(served.repository, served=served.folder, projects=served.projects)
    loading = [*_changed_members(model, served), model]
    with _locked(served) if served.snapshot else nullcontext():
        for name in loading:
            require_complete(served.repository / name, served.folder)
            with needing_room(served.folder.parent):
                change = _renew(served, name)
            try:
                _require_members(health, name, served)
                load_model(health, name, sources=sources, read_log=lambda: added(read_log(), before))
            except BaseException as error:
                if change is not None:
                    change.undo()
                if isinstance(error, ModelLoadError):
                    served.note(name, error.diagnostics[0].message)
                raise
            if change is not None:
                change.keep()
            served.note(name, "")
        _settle_ensembles(health, loading, served.folder)


def _unknown(model: str, served: Served) -> str:
    """Say where there is no such model, and which names are near."""
    near = get_close_matches(model, [folder.name for folder in model_folders(served.repository)])
    where = ", ".join(str(Where(source)) for source in served.definitions) or served.repository
    hint = f"did you mean {' or '.join(near)}?" if near else "`tritonforge status` lists the models"
    return f"there is no model {model} in {where}; {hint}"


def _require_members(health: Health, model: str, served: Served) -> None:
    """Refuse an ensemble of models that the repository doesn't have, unless they serve without it.

    Raises:
        ModelLoadError: so it is.
    """
    if not (missing := served.gone(sorted(_members(model, served.repository)))):
        return
    ready = {state.name for state in health.models() if state.state == "READY"}
    where = Where(file=str(served.repository / model / CONFIG), subject=model)
    hint = "put it back there, or take it out of the ensemble; then: tritonforge reload"
    words = "there is no model {} in the repository, of which it is made"
    if faults := [Diagnostic("TF670", where, words.format(name), hint) for name in missing if name not in ready]:
        raise ModelLoadError(faults)


def _changed_members(model: str, served: Served) -> list[str]:
    """Name the models that an ensemble is made of, if the repository has them otherwise than the server."""
    members = _members(model, served.repository)
    return [name for name in served.changed() if name in members] if members else []


def _members(model: str, repository: Path) -> set[str]:
    """Name the models that an ensemble is made of, and that those are made of; none of another model."""
    unread, found = [model], set[str]()
    while unread:
        text = config_text(repository / unread.pop())
        if "ensemble_scheduling" in text:
            steps = set(_STEP.findall(text)) - found
            found |= steps
            unread += sorted(steps)
    return found - {model}


def _settle_ensembles(health: Health, loaded: Sequence[str], folder: Path) -> None:
    """Load by their names the ensembles that Triton has loaded along with their members, the inner ones first.

    Until then it loads them anew at each load or unload of any model, so that their statistics don't last (24.10).
    """
    serving = {state.name for state in health.models() if state.state == "READY"}.difference(loaded)
    ensembles = {name: members for name in serving if (members := _members(name, folder)).intersection(loaded)}
    for name in sorted(ensembles, key=lambda name: (len(ensembles[name]), name)):
        with suppress(ModelLoadError):  # which the load along met, too: its older version serves
            load_model(health, name)


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
