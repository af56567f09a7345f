"""`tritonforge logs`, of servers that have ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.server.state.records import claim, save


def test_a_log_in_two_parts_is_shown_from_the_older_one_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that was cut in two is whole."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = Path(claim("main", fallback="", runtime="embedded", detached=True).log)
    log.with_name("server.log.1").write_text("echo 1\nplus 2\nec")
    log.write_text("ho 3\nplus 4\n")
    result = CliRunner().invoke(app, ["logs", "main"])
    assert result.output == "echo 1\nplus 2\necho 3\nplus 4\n"
    result = CliRunner().invoke(app, ["logs", "main", "--model", "echo"])
    assert result.output == "echo 1\necho 3\n"


def test_tracebacks_of_a_model_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = Path(claim("main", fallback="", runtime="embedded", detached=True).log)
    failure = "echo: stream failed\nTraceback (most recent call last):\n  File \"m.py\", line 2\nKeyError: 'mid'\n"
    log.write_text(f"plus 1\n{failure}plus 2\n")
    assert CliRunner().invoke(app, ["logs", "main", "--model", "echo"]).output == failure


def test_places_in_what_the_server_read_are_those_of_the_users_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is generated, and what is no model's, is left as it is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "shop.py").touch()
    models = {"echo": {"sources": {"1/source/shop.py": "shop.py"}}}
    manifest = {"schema": 1, "models": models}
    (tmp_path / "repository").mkdir()
    monkeypatch.setattr("tritonforge.server.diagnosis.sources.read_manifest", lambda repository: manifest)
    record = claim("main", fallback="", runtime="embedded", detached=True)
    save(replace(record, repository=str(tmp_path / "repository"), served="/tmp/gone/repository"))
    Path(record.log).write_text(
        'echo\nTraceback (most recent call last):\n  File "/tmp/gone/repository/echo/1/model.py", line 4, in execute\n'
        '  File "/tmp/gone/repository/echo/1/source/shop.py", line 2, in echo\n  File "/tmp/gone/x.py", line 1, in f\n'
        "ValueError: no\n"
    )
    assert CliRunner().invoke(app, ["logs", "main", "--model", "echo"]).output.splitlines()[2:5] == [
        '  File "/tmp/gone/repository/echo/1/model.py", line 4, in execute',
        f'  File "{tmp_path / "shop.py"}", line 2, in echo',
        '  File "/tmp/gone/x.py", line 1, in f',
    ]


def test_a_model_that_no_line_names_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = Path(claim("main", fallback="", runtime="embedded", detached=True).log)
    log.write_text("plus 1\n")
    assert (
        CliRunner().invoke(app, ["logs", "main", "--model", "ecko"]).output == f"no line of {log} names a model ecko\n"
    )
