"""Signals while the main thread waits, taken by another thread: the kernel chooses that one, too, after a Ctrl-Z."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tritonforge.server.patience import await_end

TAKEN_ELSEWHERE = """
import os, signal, subprocess, sys, threading
from pathlib import Path

def asleep(thread):
    return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] == "S"

def take(waiting):
    while not (waiting in {frame.f_code.co_name for frame in frames(main.ident)} and asleep(main.native_id)):
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

def frames(thread):
    frame = sys._current_frames()[thread]
    while frame:
        yield frame
        frame = frame.f_back

def heed(*_):
    print("heeded", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, heed)
main = threading.main_thread()
"""
WAITS = {
    "workspace": """
from tritonforge.server import Workspace
with Workspace() as workspace:
    threading.Thread(target=take, args=["wait"], daemon=True).start()
    workspace.wait()
""",
    "detach": """
from tritonforge.server.patience import await_readable
threading.Thread(target=take, args=["await_readable"], daemon=True).start()
await_readable(os.pipe()[0])
""",
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_signal_that_another_thread_takes_is_heeded(wait: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_ELSEWHERE + WAITS[wait]],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"heeded\n"


def test_a_wait_for_an_end_goes_on_for_its_time() -> None:
    """In steps, which aren't seen."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        assert await_end(process, 0) is None
        assert await_end(process, 0.5) is None
        process.kill()
        assert await_end(process) == -signal.SIGKILL
        assert await_end(process, 0) == -signal.SIGKILL
