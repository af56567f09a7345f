"""Ctrl-C while the command line is still being imported, and while `up` starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tritonforge.cli.interruptions import interruptible

AT_IMPORT = """\
import os, signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

{before}
sys.meta_path.insert(0, Interrupting())
sys.argv = ["tritonforge", {command!r}, "--help"]
from tritonforge.cli import main
main()
"""


@pytest.mark.parametrize("module", ["tritonforge.cli.commands", "typer", "tritonforge.cli.status"])
def test_an_interruption_of_the_imports_is_quiet(module: str) -> None:
    code = AT_IMPORT.format(module=module, before="", command="status")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    "module",
    ["typer", "tritonforge.cli.perf_compare", "tritonforge.report.scenario", "numpy", "tritonforge.load.session"],
)
def test_an_interruption_of_a_measurements_imports_is_told(module: str) -> None:
    """Those of the command's own, too, in which Python may drop a KeyboardInterrupt."""
    code = AT_IMPORT.format(module=module, before="", command="perf")
    code = code.replace('"--help"', '"m", "--url", "http://127.0.0.1:1"')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.removesuffix(", as no window was over\n").rstrip() == "interrupted: nothing was measured yet"


def test_an_interruption_that_the_shell_has_ignored_stays_so() -> None:
    """Of a command in the background of a script."""
    code = AT_IMPORT.format(module="typer", before="signal.signal(signal.SIGINT, signal.SIG_IGN)", command="status")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: tritonforge status" in done.stdout


@pytest.mark.parametrize("module", ["typer", "tritonforge.cli.up"])
def test_up_heeds_one_that_a_shell_has_ignored(module: str) -> None:
    """From its first moment on, as it does once it serves: a script ends it so."""
    code = AT_IMPORT.format(module=module, before="signal.signal(signal.SIGINT, signal.SIG_IGN)", command="up")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_up_heeds_one_that_python_would_drop_before_the_command_itself() -> None:
    code = """\
import os, signal, sys
from tritonforge.cli import commands, main

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def run():
    Finalized()
    print("it went on")

commands.run = run
sys.argv = ["tritonforge", "up"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def code_of(body: Callable[[], None]) -> int:
    """Give the exit code of a process that is forked to run something."""
    child = os.fork()
    if not child:
        try:
            body()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_start_that_is_ended_takes_away_what_it_had_made(number: int, code: int) -> None:
    """The last first, and whatever fails; also where the imported module has an `os._exit` of its own."""
    read, write = os.pipe()

    def start() -> None:
        with interruptible() as interruptions:
            with interruptions.deferred():
                os.kill(os.getpid(), number)
                interruptions.at_end += [lambda: os.write(write, b"1"), lambda: 1 // 0, lambda: os.write(write, b"2")]
            os.write(write, b"went on")

    def imported() -> None:
        os._exit = lambda status: None  # type: ignore[assignment, misc, return-value]
        start()

    assert (code_of(start), os.read(read, 99)) == (code, b"21")
    assert (code_of(imported), os.read(read, 99)) == (code, b"21")


def test_an_interruption_that_python_drops_is_raised_later() -> None:
    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with interruptible() as interruptions:
            interruptions.at_once = False
            interruptions.check()
            del (finalized := [Finalized()])[0]
            assert finalized == []
            with pytest.raises(KeyboardInterrupt):
                interruptions.check()
    finally:
        sys.unraisablehook = hook
