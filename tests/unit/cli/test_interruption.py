"""Ctrl-C while the command line is still being imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

AT_IMPORT = """\
import os, signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

{before}
sys.meta_path.insert(0, Interrupting())
sys.argv = ["tritonforge", "status", "--help"]
from tritonforge.cli import main
main()
"""


@pytest.mark.parametrize("module", ["tritonforge.cli.commands", "typer", "tritonforge.cli.up"])
def test_an_interruption_of_the_imports_is_quiet(module: str) -> None:
    code = AT_IMPORT.format(module=module, before="")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interruption_that_the_shell_has_ignored_stays_so() -> None:
    """Of a command in the background of a script."""
    code = AT_IMPORT.format(module="typer", before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: tritonforge status" in done.stdout
