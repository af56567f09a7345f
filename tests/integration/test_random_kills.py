"""Fifty starts, killed at random moments by random signals: nothing of them stays."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from life_support import PORTS, CommandLine
from repositories import DEADLINE_S, ECHO, until, write_model

STARTS, SIDE_BY_SIDE = 50, 3
LONGEST_S = 2.5
"""About as long as a start takes on a busy machine: the latest kills hit servers that are ready."""

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MARK = "TRITONFORGE_TEST_MARK"


def test_nothing_is_left_of_servers_that_are_killed_at_random_moments(tmp_path: Path) -> None:
    """No process, no shared memory, no port, no folder; neither of Triton's own nor of a start in the background."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    write_model(tmp_path / "models", "echo", ECHO)
    cli = CommandLine(tmp_path / "state", tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = _folders()
    plans = [(chance.uniform(0, LONGEST_S), chance.choice(SIGNALS), chance.random() < 0.3) for _ in range(STARTS)]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for _ in pool.map(lambda plan: _start_and_kill(cli, temporary, *plan), plans):
            pass
    until(lambda: not _marked(temporary), f"all processes are gone (seed {seed})")
    until(lambda: not list(temporary.iterdir()), f"the folders are gone (seed {seed})")
    until(lambda: not any(_abandoned(path) for path in _folders() - before), f"no folder of models stays (seed {seed})")
    assert cli.run("status", "--json") == "[]\nno server runs; start one with: tritonforge up\n"


def _start_and_kill(
    cli: CommandLine, temporary: Path, delay_s: float, number: signal.Signals, supervisor: bool
) -> None:
    """Start a server, and after a while kill it, or, with `supervisor`, what would clean up after it."""
    environment = {**cli.environment, "TMPDIR": str(temporary), MARK: str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tritonforge", "up", "models", *PORTS],
        cwd=cli.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(delay_s)
    guard = _supervisor(process.pid) if supervisor else None
    if guard is None:
        process.send_signal(number)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(guard, signal.SIGKILL)
    process.wait(DEADLINE_S)


def _supervisor(launcher: int) -> int | None:
    """Find the supervisor of a start, once there is one."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = _command_line(path).split(b"\0")
        if any(word.endswith(b"/supervisor.py") for word in words) and str(launcher).encode() in words:
            return int(path.parent.name)
    return None


def _marked(temporary: Path) -> list[int]:
    """List the processes that were started here, theirs too, by a variable of their environment."""
    mark = f"{MARK}={temporary}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _folders() -> set[Path]:
    return set(Path("/tmp").glob("tf????????")) | set(Path("/tmp").glob("python_env_*"))


def _abandoned(folder: Path) -> bool:
    """Tell whether no running supervisor has a folder, whose name begins as that of its workspace."""
    lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    workspace = f"/tritonforge-{folder.name.removeprefix('tf')}".encode()
    return folder.exists() and not any(workspace in line for line in lines)


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
