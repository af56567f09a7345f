"""Records of servers: true as long as the process in them lives, this very one."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from tritonforge.build import Project
from tritonforge.cli import up
from tritonforge.cli.served_repository import Chosen
from tritonforge.server import EmbeddedServer, ServerError, ServerSettings
from tritonforge.server.errors import PreflightError
from tritonforge.server.state.process_identity import ProcessIdentity, identify
from tritonforge.server.state.recorded import RecordedServer, end
from tritonforge.server.state.records import (
    claim,
    find_record,
    forget,
    read_records,
    read_unreadable,
    save,
    servers_folder,
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def claimed(name: str = "", **changes: object) -> None:
    """Record a server, perhaps of another process than this."""
    record = claim(name, fallback="models", runtime="embedded", detached=bool(changes.get("detached", True)))
    save(replace(record, **changes))  # type: ignore[arg-type]


def test_a_process_is_told_from_a_later_one_of_its_id() -> None:
    """By when it started, and in which boot."""
    mine = identify(os.getpid())
    assert mine is not None
    assert mine.alive()
    assert not replace(mine, started=mine.started - 1).alive()
    assert not replace(mine, boot="another").alive()
    assert identify(2**22 + 1) is None


def test_names_are_given_numbered_and_refused() -> None:
    """A running server keeps its name; a free one is found where none was asked for."""
    claimed()
    claimed()
    assert [record.name for record in read_records()] == ["models", "models-2"]
    with pytest.raises(ServerError, match=r"a server named models runs already \(process \d+, starting\)\n  hint: "):
        claim("models", fallback="", runtime="embedded", detached=False)
    with pytest.raises(ServerError, match=r"'../x' is no name for a server"):
        claim("../x", fallback="", runtime="embedded", detached=False)
    assert claim("", fallback="weiß & schwarz", runtime="embedded", detached=False).name == "wei-schwarz"


def test_a_state_folder_that_can_not_be_made_is_told_with_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nope")
    with pytest.raises(ServerError) as raised:
        claim("", fallback="models", runtime="embedded", detached=True)
    why = "`up` keeps a record of each server there, for status, logs and down, and can't: No such file or directory"
    assert str(raised.value).splitlines() == [
        f"/proc/nope/tritonforge/servers: {why}",
        "  hint: set XDG_STATE_HOME to a folder that you can write to  [TF514]",
    ]


def test_after_a_reboot_nothing_runs() -> None:
    """A detached server's record stays, with its log; that of one in a terminal goes; the names are free again."""
    dead = ProcessIdentity(os.getpid(), 1, "another boot")
    claimed("detached", launcher=dead, ready=True)
    claimed("terminal", launcher=dead, detached=False)
    (record,) = read_records()
    assert (record.name, record.alive()) == ("detached", False)
    assert not (servers_folder() / "terminal").exists()
    with pytest.raises(ServerError, match="the server detached has ended; its log: tritonforge logs detached"):
        RecordedServer(record)
    (record.folder / "server.log").touch()
    end(record)
    assert read_records() == []
    claimed("detached")


@pytest.mark.parametrize("left", [(), ("launcher",), ("launcher", "record.json.new")])
def test_what_a_killed_start_left_before_its_record_is_removed(left: tuple[str, ...]) -> None:
    """By whatever looks at the records; not what a server has that runs, nor other files, such as a log."""
    claimed("runs")
    (servers_folder() / "runs" / "record.json").unlink()
    (servers_folder() / "runs" / "server.log").unlink()
    for name, files in (("killed", left), ("logged", (*left, "server.log"))):
        (servers_folder() / name).mkdir()
        for file in files:
            (servers_folder() / name / file).touch()
    assert read_records() == []
    assert sorted(path.name for path in servers_folder().glob("[!.]*")) == ["logged", "runs"]


def test_a_start_forgets_servers_of_terminals_that_are_gone() -> None:
    claimed("terminal", launcher=ProcessIdentity(os.getpid(), 1, "another boot"), detached=False)
    claim("another", fallback="", runtime="embedded", detached=False)
    assert not (servers_folder() / "terminal").exists()


def test_a_container_that_may_still_be_there_keeps_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a server in a terminal, too, after a crash; `down` takes it away. Without a daemon no container runs."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    dead = ProcessIdentity(os.getpid(), 1, "another boot")
    claimed("contained", launcher=dead, detached=False, container="0123456789abcdef")
    (record,) = read_records()
    assert record.name == "contained"
    end(record)
    assert read_records() == []


def test_the_one_that_runs_needs_no_name() -> None:
    """Of several one is to be named; where none runs that is said."""
    with pytest.raises(ServerError, match="no server runs; start one with up"):
        find_record()
    claimed("one")
    claimed("ended", launcher=ProcessIdentity(1, 1, "another boot"))
    assert find_record().name == "one"
    assert find_record("ended").name == "ended"
    claimed("two")
    with pytest.raises(ServerError, match=r"name a server; there are one, two\n  hint: --name one$"):
        find_record()
    with pytest.raises(ServerError, match="there is no server named three; there are ended, one, two"):
        find_record("three")


def test_only_its_owner_reads_the_key_the_record_and_the_log(state: Path) -> None:
    """Their folder is private, too; all goes with the record."""
    record = claim("guarded", fallback="", runtime="embedded", detached=True)
    assert record.key == ""
    save(record, key="s3cret")
    assert record.key == "s3cret"
    modes = {path.name: path.stat().st_mode & 0o777 for path in record.folder.iterdir()}
    assert modes == {"key": 0o600, "launcher": 0o600, "record.json": 0o600, "server.log": 0o600}
    assert record.folder.stat().st_mode & 0o777 == 0o700
    assert "s3cret" not in (record.folder / "record.json").read_text()
    forget(record)
    assert list((state / "tritonforge" / "servers").glob("[!.]*")) == []


@pytest.mark.parametrize("text", ['{"a"', "", "7", '{"name": "one", "shape": "of another version"}', None])
def test_a_server_whose_record_cannot_be_read_is_not_lost(text: str | None) -> None:
    """Its launcher, here this process, holds a lock: it is named, and nobody else takes the folder."""
    record = claim("one", fallback="", runtime="embedded", detached=True)
    claimed("two")
    file = record.folder / "record.json"
    file.unlink() if text is None else file.write_text(text)
    assert [other.name for other in read_records()] == ["two"]
    (unreadable,) = read_unreadable()
    assert (unreadable.name, unreadable.launcher) == ("one", os.getpid())
    words = rf"the record of one can't be read \(.*\); its server runs, kept by process {os.getpid()}\n  hint: .* kill "
    with pytest.raises(ServerError, match=words):
        find_record("one")
    with pytest.raises(ServerError, match=words):
        claim("one", fallback="", runtime="embedded", detached=True)
    assert claim("", fallback="one", runtime="embedded", detached=True).name == "one-2"
    with pytest.raises(ServerError, match="name a server; there are one-2, two, one"):
        find_record()
    forget(record)
    assert not record.folder.exists()


@pytest.mark.parametrize(
    ("lock", "words", "taken"),
    [
        ("4194305\n", "its server has ended\n  hint: remove what it left: rm -r ", False),
        (None, "whether its server runs can't be told\n  hint: end that, if it does, then: rm -r ", True),
    ],
)
def test_without_a_lock_a_folder_is_free_or_cannot_be_judged(lock: str | None, words: str, taken: bool) -> None:
    """A launcher that has ended holds it no more; an older version's never did."""
    folder = servers_folder() / "one"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("<<<")
    if lock is not None:
        (folder / "launcher").write_text(lock)
    for name in ("one", ""):
        with pytest.raises(ServerError, match=words):
            find_record(name)
    if taken:
        with pytest.raises(ServerError, match=words):
            claim("one", fallback="", runtime="embedded", detached=True)
    assert claim("", fallback="one", runtime="embedded", detached=True).name == ("one-2" if taken else "one")


def test_what_is_no_server_is_none() -> None:
    """A stray file, an empty folder."""
    servers_folder().mkdir(parents=True)
    (servers_folder() / "stray").touch()
    (servers_folder() / "empty").mkdir()
    assert (read_records(), read_unreadable()) == ([], [])


def test_nothing_is_left_of_a_name_whose_record_finds_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tritonforge.server.state.records.save", full)
    with pytest.raises(PreflightError, match="No space left"):
        claim("main", fallback="", runtime="embedded", detached=True)
    assert not (servers_folder() / "main").exists()


def test_a_state_folder_that_fills_up_as_a_server_starts_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have room for the record that a start makes first, and none for that of a server which is ready."""
    record = claim("", fallback="models", runtime="embedded", detached=True)
    server = Mock(spec=EmbeddedServer, settings=ServerSettings(), repository=Path("models"), python_backends=())
    server.configure_mock(pid=1, http_url="", grpc_url="", metrics_url="", log_path=Path("log"))
    server.configure_mock(container_id="", served=Mock(folder=Path("models")))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tritonforge.server.state.records._write", fail)
    with pytest.raises(PreflightError, match=r"(?s)can't: No space left on device\n  hint: .*TF514"):
        up._announce(server, record, Chosen(Path("models")), Project(root=Path()), None)
