"""The list of commands, and that each is imported alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app

MODULES = """\
import contextlib, json, sys
from tritonforge.cli import main
sys.argv = ["tritonforge", *{arguments!r}]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    main()
print(json.dumps([name for name in sys.modules if name.startswith("tritonforge.")]))
"""
COMMANDS = ["build", "check", "import", "image", "up", "status", "logs", "down", "reload", "load", "unload"]
COMMANDS += ["infer", "stubs", "verify", "doctor", "perf"]


def loaded_by(*arguments: str) -> set[str]:
    """Name the modules of ours that a command line loads."""
    code = MODULES.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_help_lists_every_command_with_its_first_line() -> None:
    done = CliRunner().invoke(app, ["--help"])
    listed = done.output.partition("Commands:\n")[2].splitlines()
    assert done.exit_code == 0
    assert [line.split()[0] for line in listed] == COMMANDS
    assert all(len(line.split()) > 3 for line in listed)
    assert next(line for line in listed if line.split()[0] == "unload").split(maxsplit=1)[1] == (
        "Unload models; requests under way finish."
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help_under_its_name(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: tritonforge {command} ")
    assert "completion" not in done.output


@pytest.mark.parametrize("command", ["up", "status", "perf"])
def test_a_command_waits_for_no_other(command: str) -> None:
    loaded = loaded_by(command, "--help")
    others = {"build", "check", "image", "up", "status", "perf", "verify", "doctor"} - {command}
    assert f"tritonforge.cli.{command}" in loaded
    assert not {f"tritonforge.cli.{other}" for other in others} & loaded


def test_a_word_that_is_no_command_is_told_what_it_may_have_meant_and_imports_none() -> None:
    done = CliRunner().invoke(app, ["stat"])
    assert done.exit_code == 2
    assert "No such command 'stat'. Did you mean 'status'?" in done.output
    assert "tritonforge.cli.status" not in loaded_by("stat")


def test_a_group_has_its_commands_and_its_default() -> None:
    done = CliRunner().invoke(app, ["perf", "compare", "--help"])
    assert done.output.startswith("Usage: tritonforge perf compare ")
    done = CliRunner().invoke(app, ["perf", "MODEL", "--help"])
    assert done.output.startswith("Usage: tritonforge perf measure ")


def test_all_servers_are_not_stopped_where_one_is_named() -> None:
    done = CliRunner().invoke(app, ["down", "--all", "--name", "nosuch"])
    assert done.exit_code == 2
    assert "it stops all servers; leave out the names, or --all" in done.output


@pytest.mark.parametrize("command", [["load", "nosuch"], ["down", "nosuch"], ["status", "nosuch"]])
def test_what_is_wrong_is_told_as_an_error(tmp_path: Path, command: list[str]) -> None:
    """A diagnostic begins with its place and ends with its code; a sentence without either says what it is."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    arguments = [sys.executable, "-m", "tritonforge", *command]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"error: (no server runs|there is no server named nosuch); .*\n", done.stderr)


def test_a_diagnostic_is_told_as_it_is(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "tritonforge", "import", str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        f"{tmp_path}: no folder in it has a config.pbtxt\n  hint: name a model repository  [TF406]\n",
    )
