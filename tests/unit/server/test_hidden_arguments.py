"""A program's arguments that `ps` doesn't show."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tritonforge.server import Workspace
from tritonforge.server.docker import start
from tritonforge.server.guard import hidden_arguments
from tritonforge.server.guard.hidden_arguments import conceal

SECRET = "kept-from-all-others"
TELL = "import sys; print(sys.argv[1:]); print(open('/proc/self/cmdline').read().split(chr(0))[1:-1]); sys.stdin.read()"


def test_arguments_with_the_secret_travel_in_the_environment() -> None:
    """What was passed is not changed."""
    command, environment = ["server", f"--key={SECRET}", "--port=1"], {"PATH": "/bin"}
    shown, enriched, hidden = conceal(command, environment, SECRET)
    assert shown == ["server", "--key=***", "--port=1"]
    assert hidden == {1: "TRITONFORGE_HIDDEN_ARGUMENT_1"}
    assert enriched == {"PATH": "/bin", "TRITONFORGE_HIDDEN_ARGUMENT_1": f"--key={SECRET}"}
    assert (command[1], environment) == (f"--key={SECRET}", {"PATH": "/bin"})


def test_in_a_container_without_the_program_that_is_told_as_dockers_init_does(tmp_path: Path) -> None:
    program, _ = (shutil.copy(inspect.getfile(module), tmp_path) for module in (start, hidden_arguments))
    command = [sys.executable, program, "no-such-tritonserver", "--key=…"]
    environment = {**os.environ, "TRITONFORGE_HIDDEN_ARGUMENT_1": "--key=secret"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (127, "exec no-such-tritonserver failed: No such file or directory\n")


def test_without_a_secret_nothing_is_hidden() -> None:
    assert conceal(["a", "b"], {}, "") == (["a", "b"], {}, {})


def test_the_program_gets_the_secret_and_its_command_line_does_not_show_it() -> None:
    """Looked at by the program itself: what it was given, and what others see of it."""
    with Workspace() as workspace:
        program = [sys.executable, "-c", TELL, "first", f"--key={SECRET}", "last"]
        workspace.launch(program, os.environ, exit_timeout_s=0, secret=SECRET)
        assert workspace.server_pid is not None
        log = os.open(workspace.log, os.O_RDONLY)
        assert workspace.wait(20) == 0
    given, seen = os.pread(log, 1 << 16, 0).decode().splitlines()
    os.close(log)
    assert given == str(["first", f"--key={SECRET}", "last"])
    assert seen.endswith(", 'first', '--key=***', 'last']")
    assert SECRET not in seen
