"""`tritonforge status`, and the other commands about one server: which one is meant."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.cli.status import _look_at, _Seen, _tables
from tritonforge.server.asking.status import ModelStatus
from tritonforge.server.errors import ServerError
from tritonforge.server.state import records
from tritonforge.server.state.process_identity import ProcessIdentity
from tritonforge.server.state.records import ServerRecord


@pytest.mark.parametrize("command", [["status", "main"], ["reload", "double", "--name", "main"]], ids=" ".join)
def test_a_server_is_named_or_given_by_its_address(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


@pytest.mark.parametrize("written", ["tritonserver ended with code 137", ""])
def test_an_end_that_is_written_while_it_is_looked_at_is_told(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher writes how its server ended just before it ends itself."""
    found = ServerRecord(name="main", runtime="embedded", launcher=ProcessIdentity(0, 0, ""))
    monkeypatch.setattr(ServerRecord, "alive", lambda _: False)
    monkeypatch.setattr(records, "find_record", lambda _: replace(found, end=written))
    assert _look_at(found).reason.startswith(written or "its launcher (process 0) was killed")


def test_an_end_is_told_of_a_record_that_is_gone_or_anothers_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> ServerRecord:
        raise ServerError("there is no server named main")

    found = ServerRecord(name="main", runtime="embedded", launcher=ProcessIdentity(0, 0, ""), end="it ended")
    monkeypatch.setattr(ServerRecord, "alive", lambda _: False)
    for find in (gone, lambda _: replace(found, launcher=ProcessIdentity(1, 1, ""), end="another end")):
        monkeypatch.setattr(records, "find_record", find)
        assert _look_at(found).reason == "it ended; its log: tritonforge logs main"


def test_a_narrow_terminal_cuts_nothing_off_and_breaks_no_word() -> None:
    model = ModelStatus(
        name="breast_cancer", version="1", state="READY", kind="ensemble", instances=1, requests=12_345, p99_us=1234.0
    )
    console = Console(width=60, file=io.StringIO(), record=True)
    console.print(_tables([_Seen("main", "running", "http://127.0.0.1:8000", "", (model,))], console))
    words = console.export_text().split()
    assert words[:3] == ["main", "running", "http://127.0.0.1:8000"]
    told = "state=READY instances=1 requests=12345 failed=0 p99=1.23ms"
    assert words[3:] == ["breast_cancer", "1", *told.split()]
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(_tables([_Seen("main", "running", "http://127.0.0.1:8000", "", (model,))], console))
    assert "breast_cancer  1        ensemble  READY  1" in console.export_text()
