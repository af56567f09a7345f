"""`tritonforge logs`, of servers that have ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.server.records import claim


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


def test_a_model_that_no_line_names_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = Path(claim("main", fallback="", runtime="embedded", detached=True).log)
    log.write_text("plus 1\n")
    assert (
        CliRunner().invoke(app, ["logs", "main", "--model", "ecko"]).output == f"no line of {log} names a model ecko\n"
    )
