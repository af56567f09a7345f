"""`tritonforge infer` where there is no server; with one, see the integration tests."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app

NOBODY = "http://127.0.0.1:1"


def run(*arguments, env=None):
    return CliRunner().invoke(app, ["infer", *arguments], env=env)


def test_the_server_that_is_down_is_named():
    result = run("fraud", "--url", NOBODY)
    assert result.exit_code == 1
    assert result.stderr == f"error: fraud at {NOBODY}: Connection refused; is the server up? tritonforge up\n"
    assert result.stdout == ""


def test_the_url_may_come_from_the_environment():
    assert f"{NOBODY}0" in run("fraud", env={"TRITONFORGE_URL": f"{NOBODY}0"}).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "ftp://x"], "ftp:// is not supported"),
        (["--timeout", "0"], "timeout_s is 0.0"),
        (["--version", "new"], "version is 'new'"),
        (["--input", "x=@/no/such.npy"], "/no/such.npy: No such file or directory"),
        (["--input", "x"], "wanted name=value"),
    ],
)
def test_mistakes_of_the_callers_exit_with_2(arguments, message):
    result = run("fraud", "--url", NOBODY, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_help_shows_the_options():
    text = run("--help").output
    for option in ("--input", "--url", "TRITONFORGE_URL", "--format", "--output-file", "--timeout", "--version"):
        assert option in text
