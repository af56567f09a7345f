"""`tritonforge status`, and the other commands about one server: which one is meant."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app


@pytest.mark.parametrize("command", [["status", "main"], ["reload", "double", "--name", "main"]], ids=" ".join)
def test_a_server_is_named_or_given_by_its_address(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 2
    assert "give one of them" in result.stderr
