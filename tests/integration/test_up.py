"""`tritonforge up` as a user runs it: in a process, in a terminal, stopped by signals."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from repositories import DEADLINE_S, SLOW, Trace, infer, until, write_model

PORTS = ("--http-port=0", "--grpc-port=0", "--metrics-port=0")

DEFINITIONS = """
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, model

@model(batching=Batching(max_batch_size=4))
def halve(features: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return features / 2
"""

BROKEN = """
import numpy as np
from jaxtyping import Float32
from tritonforge import model

@model
class Weighted:
    def __init__(self) -> None:
        self.weights = self.read()

    def read(self) -> np.ndarray:
        return np.load("weights.npz")

    def __call__(self, features: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return features * self.weights
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tritonforge", "up", *arguments, *PORTS]


@contextmanager
def running(arguments: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run the command until the block ends, and give what it says once it is ready, by the first word of each line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TRITONFORGE_EXIT_TIMEOUT_S": "5"}
    with subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            said: dict[str, str] = {}
            while (line := process.stdout.readline()) and line != "ready\n":
                word, _, rest = line.strip().partition(" ")
                said[word] = f"{said[word]}\n{rest}" if word in said else rest
            yield process, said
        finally:
            process.kill()


def left_by(said: dict[str, str]) -> Trace:
    """Find the traces of a running server from what `up` said."""
    folder = Path(said["log"]).parent
    ports = tuple(int(re.findall(r":(\d+)", said[name])[0]) for name in ("HTTP", "gRPC", "metrics"))
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    words = {int(process.name): _command_line(process) for process in processes}
    server = next(pid for pid, line in words.items() if b"/bin/tritonserver\0" in line and bytes(folder) in line)
    return Trace(os.getsid(server), f"{folder.name}-", str(folder), ports)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_cleanly(number: signal.Signals, echo_repository: Path, tmp_path: Path) -> None:
    """Exit code 0, and nothing left."""
    with running([str(echo_repository)], tmp_path) as (process, said):
        signature = "(x: FP32[-1, 1]) -> (y: FP32[-1, 1])"
        assert said["model"] == f"double 1 python READY {signature}\necho 1 python READY {signature}"
        assert infer(said["HTTP"], "double", 4.0) == 8.0
        left = left_by(said)
        assert left.remains()
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0
        assert left.remains() == []


def test_ctrl_c_in_a_terminal_stops_it_and_a_second_one_kills(tmp_path: Path) -> None:
    """The terminal's Ctrl-C reaches the command alone, so that a request under way is not cut off by the first."""
    write_model(tmp_path / "model_repository", "slow", SLOW.replace("SECONDS", "1000"))
    screen = ""
    terminal, inside = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "120"}
    environment["TRITONFORGE_EXIT_TIMEOUT_S"] = "1000"  # the second signal alone ends it in time
    process = subprocess.Popen(
        [sys.executable, "-c", _IN_TERMINAL, *command()],
        cwd=tmp_path,
        env=environment,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    while "Ctrl-C stops it" not in screen:
        screen += os.read(terminal, 4096).decode()
    text = re.sub(r"\x1b\[[\d;]*m", "", screen)
    assert re.search(r"slow +1 +python +READY +\(x: FP32\[-1, 1\]\) → \(y: FP32\[-1, 1\]\)", text)
    log = Path(re.findall(r"log  (\S+)", text)[0])
    url = re.findall(r"HTTP  (\S+)", text)[0]
    with subprocess.Popen([sys.executable, "-c", _CALL, url], stderr=subprocess.DEVNULL) as caller:
        until(lambda: "under way" in log.read_text(), "the request is under way")
        os.write(terminal, b"\x03")
        while "again kills" not in screen:
            screen += os.read(terminal, 4096).decode()
        os.write(terminal, b"\x03")
        assert process.wait(DEADLINE_S) == 0
        caller.wait(DEADLINE_S)
    os.close(terminal)
    assert not log.parent.exists()


_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

_CALL = """
import sys, urllib.request
body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}'
urllib.request.urlopen(sys.argv[1] + "/v2/models/slow/infer", body)
"""


def test_builds_definitions_first_and_dies_with_the_server(tmp_path: Path) -> None:
    """A file is built into a temporary folder; a server that ends by itself is an error, its start no word of it."""
    (tmp_path / "halving.py").write_text(DEFINITIONS)
    with running(["halving.py", "--verbose"], tmp_path) as (process, said):
        assert said["model"] == "halve 1 python READY (features: FP32[batch, 3]) -> (output: FP32[batch, 3])"
        left = left_by(said)
        os.kill(next(pid for pid in left.processes() if pid not in {left.session, *left.stubs()}), signal.SIGKILL)
        assert process.wait(DEADLINE_S) == 1
        assert process.stderr is not None
        errors = process.stderr.read()
    why = "SIGKILL: it, or the process that guards it, was killed from outside, or for want of memory"
    assert f"tritonserver ended with code 137 ({why}), and said nothing before" in errors
    assert errors.count("Started HTTPService") == 1  # in the log that --verbose shows
    assert left.remains() == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["halving.py"]


def test_an_error_in_definitions_that_are_served_is_at_the_users_line(tmp_path: Path) -> None:
    """Through build, runtime, stub and server, back to the file that the user wrote."""
    (tmp_path / "weighing.py").write_text(BROKEN)
    with running(["weighing.py"], tmp_path) as (process, said):
        assert process.wait(DEADLINE_S) == 1
        assert process.stderr is not None
        errors = process.stderr.read().splitlines()
    assert said == {}
    assert errors[:3] == [
        "weighing.py:12 Weighted: failed to load: FileNotFoundError: [Errno 2] No such file or directory: "
        "'weights.npz'",
        "  at weighing.py:12 in read",
        "  at weighing.py:9 in __init__",
    ]


def test_says_what_to_name_when_there_is_nothing_to_serve(tmp_path: Path) -> None:
    """No argument, no repository, no project."""
    done = subprocess.run(
        command(),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "name a model repository or a file of definitions" in done.stderr


@pytest.mark.parametrize("options", [(), ("--detach",)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_start_quietly(number: signal.Signals, options: Sequence[str], tmp_path: Path) -> None:
    """Also while definitions are imported, one of which would make another error of an interruption."""
    forever = "    while True:  # one long sleep can miss a signal that comes just before it\n        time.sleep(0.1)\n"
    code = f"import time\ntry:\n    open('begun', 'w').close()\n{forever}except BaseException as error:\n"
    (tmp_path / "slow.py").write_text(f"{code}    raise ImportError('failed to import') from error\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_STATE_HOME": str(tmp_path / "state")}
    with subprocess.Popen(
        command("slow.py", *options), cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        until((tmp_path / "begun").exists, "the definitions are imported")
        process.send_signal(number)
        said, _ = process.communicate(timeout=DEADLINE_S)
    assert said == b""
    assert process.returncode == 128 + number
    assert list((tmp_path / "state").glob("tritonforge/servers/[!.]*")) == []


@pytest.mark.parametrize("redirection", ["| head -1", ">&-", ">&- 2>&- <&-"])
def test_a_detached_server_runs_on_whoever_reads_what_it_says(
    redirection: str, echo_repository: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_STATE_HOME": str(tmp_path / "state")}

    def run(arguments: Sequence[str], end: str = "") -> subprocess.CompletedProcess[str]:
        line = f"set -o pipefail; {shlex.join(arguments)} {end}"
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    tritonforge = [sys.executable, "-m", "tritonforge"]
    try:
        started = run(command(str(echo_repository), "--detach", "--name", "unread"), redirection)
        assert started.returncode == 0, started.stderr
        assert run([*tritonforge, "status"]).stdout.startswith("server unread running http://")
        if "|" not in redirection:  # of a reader that has gone, `status` may say so
            assert run([*tritonforge, "status"], redirection).returncode == 0
    finally:
        run([*tritonforge, "down", "--all", "--kill"])
