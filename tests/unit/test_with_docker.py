"""scripts/with_docker.py: what it installs before it starts a daemon, and that nothing outlives it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "with_docker.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("with_docker", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's packages")
@pytest.mark.parametrize(
    ("there", "installed"),
    [
        ({"dockerd"}, ["iptables"]),
        ({"iptables"}, ["docker.io"]),
        (set(), ["docker.io", "iptables"]),
        ({"dockerd", "iptables"}, []),
    ],
)
def test_each_program_that_is_missing_is_installed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, there: set[str], installed: list[str]
) -> None:
    """A daemon that is there doesn't say that iptables is, too."""
    commands: list[list[str]] = []
    monkeypatch.setattr(shutil, "which", lambda name: name if name in {*there, "apt-get"} else None)
    monkeypatch.setattr(script.os, "geteuid", lambda: 0)
    monkeypatch.setattr(script, "run", lambda command, *_: commands.append(command))
    monkeypatch.setattr(script, "alone", lambda: pytest.fail("no daemon is to be started"))
    with pytest.raises(pytest.fail.Exception), script.daemon():
        pass
    assert [command[-1] for command in commands if command[1] == "install"] == installed


DOCKER = """#!/bin/sh
test -e "${DOCKER_HOST#unix://}"
"""
DOCKERD = """#!/bin/sh
while [ "$1" != -H ]; do shift; done
touch "${2#unix://}"
echo $$ >"$PIDS/daemon"
trap 'exit 0' TERM
while :; do sleep 0.05; done
"""
COMMAND = """
import os, pathlib, time
pathlib.Path(os.environ["PIDS"], "command").write_text(f"{os.getpid()}\\n")
time.sleep(600)
"""
MAIN = """
import importlib.util, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # where a shell has it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
spec = importlib.util.spec_from_file_location("with_docker", sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
script.make_base = script.add_programs = lambda environment: None
script.install = lambda program, package: None
os.geteuid = lambda: 0
sys.exit(script.main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="stand-ins for Docker's programs")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_script_ends_all_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """CI cancels by SIGTERM; a terminal that closes sends SIGHUP."""
    pids, temporary = tmp_path / "pids", tmp_path / "temporary"
    for name, text in {"docker": DOCKER, "dockerd": DOCKERD}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    pids.mkdir()
    temporary.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PIDS": str(pids),
        "DOCKER_HOST": f"unix://{tmp_path}/none",
    }
    arguments = [sys.executable, "-c", MAIN, str(SCRIPT), sys.executable, "-c", COMMAND]
    with subprocess.Popen(arguments, env=environment) as process:
        deadline = time.monotonic() + 60
        while not (pids / "command").is_file() or not (pids / "command").read_text().endswith("\n"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = [int((pids / name).read_text()) for name in ("daemon", "command")]
        try:
            process.send_signal(number)
            assert process.wait(60) == 128 + number
            assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
        finally:
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert list(temporary.iterdir()) == []
