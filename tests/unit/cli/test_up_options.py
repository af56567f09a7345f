"""Options of `up` that are refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("cache_size", "found cache_size; write SETTING=VALUE"),
        ("restricted_key=s3cret-s3cret", "give it by the variable TRITONFORGE_RESTRICTED_KEY"),
    ],
)
def test_a_setting_that_is_no_pair_or_a_secret_is_refused(option: str, message: str, tmp_path: Path) -> None:
    """A key on a command line is no secret; it isn't repeated either."""
    result = CliRunner().invoke(app, ["up", str(tmp_path), "--set", option])
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "s3cret" not in result.output


def test_an_unknown_setting_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["up", str(tmp_path), "--set", "cache=1MB"])
    assert str(result.exception).startswith("cache: there is no such setting\n  hint: did you mean cache_size?")


def test_an_empty_name_is_refused() -> None:
    """It may be a variable's that a script has not set."""
    result = CliRunner().invoke(app, ["up", "models", "--name", ""])
    assert result.exit_code == 2
    assert "without --name the server is named after REPO or FILE" in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("option", ["http_port=70000", "restricted_apis=everything", "ready_timeout_s=-1"])
def test_what_is_set_isnt_lost_where_there_is_an_option_for_it_too(tmp_path: Path, option: str) -> None:
    result = CliRunner().invoke(app, ["up", str(tmp_path), "--set", option])
    assert result.exit_code != 0
    assert option.partition("=")[2] in result.output or option.partition("=")[2] in str(result.exception)


@pytest.mark.parametrize(
    ("setting", "options"),
    [("http_port=99999", ["--http-port", "0"]), ("restricted_apis=inference", ["--no-key"])],
)
def test_what_an_option_gives_isnt_set_beside_it(setting: str, options: list[str]) -> None:
    """One of the two would be lost, whatever is wrong with it."""
    result = CliRunner().invoke(app, ["up", "nosuch", *options, "--set", setting])
    assert result.exit_code == 2
    name = setting.partition("=")[0]
    said = " ".join(result.output.replace("│", " ").split())
    assert f"--set {name}: an option gives it, too: leave one of them out" in said


def test_a_model_in_the_place_of_its_repository_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "echo" / "1").mkdir(parents=True)
    (tmp_path / "models" / "echo" / "1" / "model.py").touch()
    result = CliRunner().invoke(app, ["up", "models/echo"])
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", " ").split())
    assert "models/echo is a model; name its repository: models" in said


def test_a_public_server_without_a_key_is_warned_of() -> None:
    """Its models are anybody's to load."""
    for options, warned in ((["--no-key"], True), ([], False), (["--no-key", "--host", "127.0.0.1"], False)):
        result = CliRunner().invoke(app, ["up", "nosuch", "--public", *options])
        assert result.exit_code == 2
        assert ("whoever reaches this machine can load models" in result.stderr) is warned


def test_a_setting_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    """The first was left out without a word."""
    result = CliRunner().invoke(app, ["up", str(tmp_path), "--set", "exit_timeout_s=1", "--set", "exit_timeout_s=2"])
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", " ").split())
    assert "--set exit_timeout_s: it is given twice; leave one of them out" in said
