"""Fifty starts, killed at random moments by random signals: nothing of them stays."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from life_support import PROGRAM, CommandLine, block_interruptions
from repositories import ECHO, listening_ports, until, write_model

from tritonforge.server.guard.abandoned import sweep_abandoned
from tritonforge.server.ports import bind_error

STARTS, SIDE_BY_SIDE = 50, 3
LONGEST_S = 2.5
"""About as long as a start takes on a busy machine: the latest kills hit servers that are ready."""

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
VICTIMS = ("launcher",) * 6 + ("supervisor",) * 3 + ("both",)
MARK = "TRITONFORGE_TEST_MARK"


@dataclass(frozen=True)
class Plan:
    """One start: its own folder for temporary files and its ports; who is killed when, and how."""

    temporary: Path
    ports: tuple[int, ...]
    victim: str
    delay_s: float
    number: signal.Signals


def test_nothing_is_left_of_servers_that_are_killed_at_random_moments(tmp_path: Path) -> None:
    """No process, no shared memory, no port, no folder; neither of Triton's own nor of a start in the background."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    write_model(tmp_path / "models", "echo", ECHO)
    cli = CommandLine(tmp_path / "state", tmp_path)
    before = _triton_folders()
    ports = iter(_ports_of_nobody(3 * STARTS))
    plans = [
        Plan(
            temporary=tmp_path / str(number),
            ports=(next(ports), next(ports), next(ports)),
            victim=chance.choice(VICTIMS),
            delay_s=chance.uniform(0, LONGEST_S),
            number=chance.choice(SIGNALS),
        )
        for number in range(STARTS)
    ]
    with ThreadPoolExecutor(SIDE_BY_SIDE, initializer=block_interruptions) as pool:
        for _ in pool.map(lambda plan: _start_and_kill(cli, plan, seed), plans):
            pass
    until(lambda: not any(_abandoned(path) for path in _triton_folders() - before), f"no folder stays (seed {seed})")
    assert cli.run("status", "--json") == "[]\nno server runs; start one with: tritonforge up\n"


def _start_and_kill(cli: CommandLine, plan: Plan, seed: int) -> None:
    """Start a server, and after a while kill it, what would clean up after it, or both; see that nothing is left."""
    plan.temporary.mkdir()
    environment = {**cli.environment, "TMPDIR": str(plan.temporary), MARK: str(plan.temporary)}
    flags = (f"--{name}-port={port}" for name, port in zip(("http", "grpc", "metrics"), plan.ports, strict=True))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "up", "models", *flags],
        cwd=cli.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        workspaces = _kill(process, plan)
        until(lambda: process.poll() is not None, f"it ends (seed {seed}, {plan})")
    finally:
        if process.poll() is None:  # else it, and its server, would outlive the tests
            process.kill()
            process.wait()

    def left() -> Iterator[object]:
        """Find what is left, that which costs little to look for first."""
        if plan.victim == "both":
            sweep_abandoned(plan.temporary)  # as the next start does
        folders = [Path(f"/tmp/tf{each.removeprefix('tritonforge-')[:8]}") for each in workspaces]
        yield from (path for path in (*folders, *plan.temporary.iterdir()) if path.exists())
        segments = tuple(f"{each}-" for each in workspaces)
        yield from (name for name in os.listdir("/dev/shm") if name.startswith(segments))
        yield from listening_ports() & set(plan.ports)
        yield from _marked(plan.temporary)

    until(lambda: next(left(), None) is None, f"nothing is left (seed {seed}, {plan})")


def _kill(process: subprocess.Popen[bytes], plan: Plan) -> list[str]:
    """Kill a start, after a while; give the names of its workspaces."""
    time.sleep(plan.delay_s)
    guard = _supervisor(process.pid) if plan.victim != "launcher" else None
    workspaces = [path.name for path in plan.temporary.iterdir()]
    if guard is not None:
        if plan.victim == "both":
            process.send_signal(signal.SIGSTOP)  # it has no time to see the other's end
        with contextlib.suppress(ProcessLookupError):
            os.kill(guard, signal.SIGKILL)
    if plan.victim == "both":
        process.kill()
    elif guard is None:
        process.send_signal(plan.number)
    return workspaces


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


def _ports_of_nobody(count: int) -> list[int]:
    """Find free ports below those that the system gives: a server of another test may get one of its at any time."""
    least = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    free = (port for port in random.sample(range(least // 2, least), least // 2) if not bind_error("127.0.0.1", port))
    return list(islice(free, count))


def _triton_folders() -> set[Path]:
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
