"""`tritonforge infer` where there is no server; with one, see the integration tests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tritonforge.build import build
from tritonforge.cli import app
from tritonforge.server.state.records import claim, save

NOBODY = "http://127.0.0.1:1"


def run(*arguments, env=None):
    return CliRunner().invoke(app, ["infer", *arguments], env=env)


def test_the_server_that_is_down_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = run("fraud", "--url", NOBODY)
    assert result.exit_code == 1
    assert result.stderr == f"error: fraud at {NOBODY}: Connection refused; is the server up? tritonforge up\n"
    assert result.stdout == ""


def test_the_servers_that_run_are_named(tmp_path, monkeypatch):
    """The one that is meant may have other ports than 8000; `verify` says the same."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = claim("blue", fallback="", runtime="embedded", detached=True)
    save(replace(record, ready=True, http_url="http://127.0.0.1:9000", grpc_url="grpc://127.0.0.1:9001"))
    claim("starting", fallback="", runtime="embedded", detached=True)
    hint = "what runs is blue: http://127.0.0.1:9000 or grpc://127.0.0.1:9001\n"
    assert run("fraud", "--url", NOBODY).stderr.endswith(f"\n  hint: name the server's address with --url; {hint}")
    definition = "from tritonforge import model\nimport numpy as np\nfrom jaxtyping import Float32\n\n"
    definition += '@model\ndef m(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:\n    return x\n'
    (tmp_path / "m.py").write_text(definition)
    build([tmp_path / "m.py"], tmp_path / "models", golden=1)
    verified = CliRunner().invoke(app, ["verify", str(tmp_path / "models"), "--url", NOBODY])
    assert verified.exit_code == 1
    assert verified.stderr.endswith(hint)


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
        (["--parameter", "tenant"], "--parameter tenant: wanted NAME=VALUE"),
        (["-p", "x=[1]"], 'the parameter "x" is [1]; the protocol has bool, int, float and text'),
        (["--ca", __file__], f"{NOBODY} is not over TLS; with https:// or grpcs:// it would be"),
        (["--url", "grpcs://127.0.0.1:1", "--key", __file__], "--certificate, --key: the two go together"),
        (["--url", "grpcs://127.0.0.1:1", "--ca", "/no/such.pem"], "'/no/such.pem' does not exist"),
    ],
)
def test_mistakes_of_the_callers_exit_with_2(arguments, message):
    result = run("fraud", "--url", NOBODY, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_help_shows_the_options():
    text = run("--help").output
    for option in (
        "--input",
        "--parameter",
        "--url",
        "TRITONFORGE_URL",
        "--format",
        "--output-file",
        "--timeout",
        "--version",
        "--ca",
    ):
        assert option in text
