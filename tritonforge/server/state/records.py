"""What runs, in the user's state folder: a record for each server that `up` started, right after a crash or a reboot.

`$XDG_STATE_HOME/tritonforge/servers/NAME/` holds record.json, the key of restricted APIs (only its owner can read it),
and, of a detached server, its log. A record is true as long as the process in it lives. That process holds a lock there
(`launcher_lock`), by which a server is known whose record can't be read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tritonforge.server.errors import DaemonHangs, PreflightError, ServerError
from tritonforge.server.settings.writable import state_unusable
from tritonforge.server.state.launcher_lock import LOCK, hold_folder, holder_of
from tritonforge.server.state.process_identity import ProcessIdentity, identify
from tritonforge.server.state.unreadable_record import UnreadableRecord

__all__ = [
    "ServerRecord",
    "claim",
    "find_record",
    "forget",
    "needing_state",
    "own_ports",
    "read_records",
    "read_unreadable",
    "remove_leftovers",
    "save",
    "servers_folder",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RECORD, _KEY, _LOG, _LOCK = "record.json", "key", "server.log", ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """One server of `up`. `launcher` is the process that keeps it; the URLs are there once it is ready.

    `served` is the folder that the server reads (a snapshot of `repository`), `sources` the definitions that the
    repository was built from, `container` the container's id, where it runs in one, `python_backends` those whose
    models run in processes of their own. `end` says how the server ended by itself; a launcher that was killed has no
    time to write it.
    """

    name: str
    runtime: str
    launcher: ProcessIdentity
    detached: bool = False
    exit_timeout_s: float = 10.0
    ready: bool = False
    server_pid: int = 0
    container: str = ""
    python_backends: tuple[str, ...] = ()
    http_url: str = ""
    grpc_url: str = ""
    metrics_url: str = ""
    repository: str = ""
    served: str = ""
    sources: tuple[str, ...] = ()
    target: str = ""
    log: str = ""
    end: str = ""

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return servers_folder() / self.name

    @property
    def key_file(self) -> Path:
        """The file of the key to its restricted APIs; there is none where nothing is restricted."""
        return self.folder / _KEY

    @property
    def key(self) -> str:
        """The key to its restricted APIs; empty where there is none."""
        with contextlib.suppress(OSError):
            return self.key_file.read_text().strip()
        return ""

    def alive(self) -> bool:
        """Tell whether the process that keeps the server still runs."""
        return self.launcher.alive()


def servers_folder() -> Path:
    """Give the folder of all records: below $XDG_STATE_HOME, or ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "tritonforge" / "servers"


def claim(name: str, *, fallback: str, runtime: str, detached: bool) -> ServerRecord:
    """Take a name for a server of this process, and record it. Without a name it is `fallback`, numbered if taken.

    What a server that is gone left under that name is removed, and what is left of any whose start was killed.

    Raises:
        PreflightError: the state folder can't be made or written to.
        ServerError: the name can't be one, or a running server has it, or one may whose record can't be read.
    """
    if name and not _NAME.fullmatch(name):
        raise ServerError(f"{name!r} is no name for a server: ASCII letters, digits and _.- are fine, 64 at most")
    with needing_state():
        record = _claim(name, fallback, runtime, detached=detached)
        read_records()  # which forgets what is gone
    return record


@contextmanager
def needing_state() -> Iterator[None]:
    """Say of what is written to the state folder in the block that it can't be, and what that folder is for.

    Raises:
        PreflightError: it can't be made or written to: it is full, say.
    """
    try:
        yield
    except OSError as error:
        raise PreflightError([state_unusable(servers_folder(), error)]) from error


def _claim(name: str, fallback: str, runtime: str, *, detached: bool) -> ServerRecord:
    launcher = identify(os.getpid())
    assert launcher is not None
    with _locked():
        record = ServerRecord(name=name or _free(fallback), runtime=runtime, launcher=launcher, detached=detached)
        other = _read(record.folder)
        if isinstance(other, UnreadableRecord):
            if other.may_run:
                raise ServerError(str(other))
        elif other is not None and other.alive():
            raise ServerError(
                f"a server named {name} runs already (process {other.launcher.pid}, {other.http_url or 'starting'})\n"
                f"  hint: choose another with --name, or end it: tritonforge down {name}"
            )
        elif other is not None:
            remove_leftovers(other)
        shutil.rmtree(record.folder, ignore_errors=True)
        record.folder.mkdir(mode=0o700)
        record = replace(record, log=str(record.folder / _LOG)) if detached else record
        try:
            hold_folder(record.folder)
            save(record)
            if record.log:
                Path(record.log).touch(mode=0o600)
        except OSError:  # the disk is full, say
            shutil.rmtree(record.folder, ignore_errors=True)
            raise
    return record


def save(record: ServerRecord, *, key: str = "") -> None:
    """Write a record, in one step, and its key; only this user can read them.

    Raises:
        OSError: the state folder can't be written to.
    """
    if key:
        _write(record.key_file, f"{key}\n")
    new = record.folder / f"{_RECORD}.new"
    _write(new, json.dumps(asdict(record), indent=2))
    os.replace(new, record.folder / _RECORD)


def forget(record: ServerRecord) -> None:
    """Remove a record with all its files, if it is still this server's."""
    with _locked():
        found = _read(record.folder)
        own = record.launcher.pid if isinstance(found, UnreadableRecord) else record.launcher
        if found is not None and found.launcher == own:
            shutil.rmtree(record.folder, ignore_errors=True)


def read_records() -> list[ServerRecord]:
    """List all servers by name, those that ended by accident among them.

    Such that ran in a terminal are forgotten, unless they have left a container, and so is what a start left that was
    killed before it had written its record.
    """
    _remove_unwritten()
    kept = []
    for record in _read_all():
        if isinstance(record, UnreadableRecord):
            continue
        if record.alive() or record.detached or _left_a_container(record):
            kept.append(record)
        else:
            forget(record)
    return kept


def read_unreadable() -> list[UnreadableRecord]:
    """List the servers whose records can't be read, by name."""
    return [record for record in _read_all() if isinstance(record, UnreadableRecord)]


def own_ports() -> dict[int, str]:
    """Give the ports that the user's servers have, each with the server's name."""
    records = [record for record in read_records() if record.alive()]
    addresses = [(url, each.name) for each in records for url in (each.http_url, each.grpc_url, each.metrics_url)]
    return {port: name for url, name in addresses if (port := urlsplit(url).port)}


def find_record(name: str = "") -> ServerRecord:
    """Find a server by its name; without one, the only one that there is.

    Raises:
        ServerError: there is none of this name, none at all, or several to choose from; or its record can't be read.
    """
    records, unreadable = read_records(), read_unreadable()
    known: list[ServerRecord | UnreadableRecord] = [*records, *unreadable]
    if name:
        chosen = [one for one in known if one.name == name]
        if not chosen:
            raise ServerError(f"there is no server named {name}; {f'there {_list(known)}' if known else 'none runs'}")
    else:
        running = [record for record in records if record.alive()] or records
        chosen = [*running, *(one for one in unreadable if one.may_run or not running)]
        if len(chosen) != 1:
            if not chosen:
                raise ServerError("no server runs; start one with up")
            raise ServerError(f"name a server; there {_list(chosen)}\n  hint: --name {chosen[0].name}")
    record = chosen[0]
    if isinstance(record, UnreadableRecord):
        raise ServerError(str(record))
    return record


def remove_leftovers(record: ServerRecord) -> None:
    """Remove the container of a server that is gone, where it is still there; without a daemon no container runs."""
    if record.container:
        from tritonforge.server.docker.leftovers import remove_container

        try:
            remove_container(record.container)
        except DaemonHangs:
            raise
        except PreflightError:
            return


def _left_a_container(record: ServerRecord) -> bool:
    if not record.container:
        return False
    from tritonforge.server.docker.leftovers import container_remains

    return container_remains(record.container)


def _list(records: Sequence[ServerRecord | UnreadableRecord]) -> str:
    names = ", ".join(record.name for record in records)
    return f"{'are' if len(records) > 1 else 'is'} {names}"


def _free(wanted: str) -> str:
    """Make a name of some text, numbered where a running server has it."""
    base = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted).strip("-._")[:56] or "server"
    number, name = 1, base
    while _taken(_read(servers_folder() / name)):
        number += 1
        name = f"{base}-{number}"
    return name


def _taken(other: ServerRecord | UnreadableRecord | None) -> bool:
    """Tell whether a server has a name, or may have it."""
    return other.may_run if isinstance(other, UnreadableRecord) else other is not None and other.alive()


def _write(file: Path, text: str) -> None:
    """Write a file that only this user can read."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)


def _read_all() -> list[ServerRecord | UnreadableRecord]:
    folder = servers_folder()
    found = [_read(path) for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return [record for record in found if record is not None]


def _read(folder: Path) -> ServerRecord | UnreadableRecord | None:
    """Read a record; None where there is none. Another version's may be one that can't be read."""
    try:
        fields: dict[str, Any] = json.loads((folder / _RECORD).read_bytes())
        fields["launcher"] = ProcessIdentity(**fields["launcher"])
        fields["sources"] = tuple(fields["sources"])
        fields["python_backends"] = tuple(fields.get("python_backends", ()))
        return ServerRecord(**fields)
    except (FileNotFoundError, NotADirectoryError):
        launcher = holder_of(folder)
        return UnreadableRecord(folder, "it is gone", launcher) if launcher else None
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        reason = f"{_RECORD} is not what this tritonforge writes"
    return UnreadableRecord(folder, reason, holder_of(folder))


def _remove_unwritten() -> None:
    """Remove the folders that have no record, and nothing else but what comes before it, of launchers that are gone."""
    folder = servers_folder()
    for path in folder.iterdir() if folder.is_dir() else ():
        if _unwritten(path):
            with _locked():  # nobody is about to write one
                if _unwritten(path):
                    shutil.rmtree(path, ignore_errors=True)


def _unwritten(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        names = {path.name for path in folder.iterdir()} if _NAME.fullmatch(folder.name) else {_RECORD}
        return names <= {LOCK, f"{_RECORD}.new"} and not holder_of(folder)
    return False


@contextmanager
def _locked() -> Iterator[None]:
    """Let one process at a time take or give up a name."""
    folder = servers_folder()
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
