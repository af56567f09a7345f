"""The supervisor, with programs that are no servers: what they leave is removed, whatever ends them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tritonforge.server import ServerError, Workspace
from tritonforge.server.guard import supervisor
from tritonforge.server.guard.supervisor import put_aside

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
open(os.path.join("/dev/shm", sys.argv[1] + "segment"), "w").close()
open(sys.argv[2], "w").write(str(child.pid))
if sys.argv[3:] == ["leave"]:
    sys.exit(7)
time.sleep(1000)
"""

ABANDONED = """
import os, sys
from pathlib import Path
from tritonforge.server import Workspace
workspace = Workspace()
(workspace.folder / "file").touch()
print(workspace.folder, flush=True)
os.kill(os.getpid(), 9)
"""

FORKED = """
import os
from tritonforge.server import Workspace
with Workspace() as workspace:
    workspace.launch(["sleep", "1000"], os.environ, exit_timeout_s=0)
    pid = os.fork()
    if pid == 0:
        os._exit(workspace.close() + 42)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), workspace.poll())
"""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def stubborn(workspace: Workspace, note: Path, *, exit_timeout_s: float = 0.2, leave: bool = False) -> int:
    """Launch a program that ignores SIGTERM and has a child of another session; give the child's id."""
    command = [sys.executable, "-c", STUBBORN, workspace.shared_memory, str(note), *(["leave"] if leave else [])]
    workspace.launch(command, os.environ, exit_timeout_s=exit_timeout_s)
    until(lambda: note.exists() and note.read_text())
    return int(note.read_text())


def left(workspace: Workspace) -> list[str]:
    """List what is left of a workspace in the file systems."""
    folder = [str(workspace.folder)] if workspace.folder.exists() else []
    return folder + [name for name in os.listdir("/dev/shm") if name.startswith(workspace.shared_memory)]


def test_kills_a_program_that_will_not_end_and_its_children(tmp_path: Path) -> None:
    """A child that has left the session is found too."""
    with Workspace() as workspace:
        child = stubborn(workspace, tmp_path / "note")
        assert len(left(workspace)) == 2
        assert not gone(child)
    assert workspace.poll() == 128 + signal.SIGKILL
    assert gone(child)
    assert left(workspace) == []


def test_a_program_with_a_signal_of_its_own_cleans_up_before_it_ends(tmp_path: Path) -> None:
    """A second one, where the first let it take its time."""
    code = (
        "import signal, sys, time\n"
        "told = []\n"
        "def heed(*_):\n"
        "    told.append(1)\n"
        "    if len(told) == 2:\n"
        "        open(sys.argv[1], 'w').close()\n"
        "        sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, heed)\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(1000)\n"
    )
    with Workspace() as workspace:
        command = [sys.executable, "-c", code, str(tmp_path / "cleaned")]
        workspace.launch(command, os.environ, exit_timeout_s=0.2, kill_signal=signal.SIGTERM)
        until(lambda: "ready" in workspace.log.read_text())
        assert workspace.close() == 3
    assert (tmp_path / "cleaned").exists()
    assert left(workspace) == []


def test_cleans_up_after_a_program_that_ends_by_itself(tmp_path: Path) -> None:
    """Its exit code is passed on."""
    with Workspace() as workspace:
        child = stubborn(workspace, tmp_path / "note", leave=True)
        assert workspace.wait(20) == 7
        assert gone(child)
        assert left(workspace) == []
        assert workspace.close() == 7


def test_cleans_up_after_a_launcher_that_was_killed() -> None:
    """Even one that had launched nothing yet."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", ABANDONED], stdout=subprocess.PIPE, text=True, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    until(lambda: not Path(killed.stdout.strip()).exists())


def test_a_program_ends_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    """What has left the session can't be found then, and the test ends it itself."""
    with Workspace() as workspace:
        child = stubborn(workspace, tmp_path / "note")
        assert workspace.server_pid is not None
        os.kill(os.getsid(workspace.server_pid), signal.SIGKILL)
        until(lambda: gone(workspace.server_pid or 0))
    os.kill(child, signal.SIGKILL)
    assert left(workspace) == []


def test_a_forked_process_does_not_close_it() -> None:
    """Nor does its end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, env=environment, check=True)
    assert said.stdout == b"42 None\n"


def test_a_log_that_grows_is_put_aside_and_begun_anew(tmp_path: Path) -> None:
    """The program goes on writing to it; what was put aside before makes room."""
    code = "import time\nwhile True: print('one more line', flush=True); time.sleep(0.001)"
    older = tmp_path / "log.1"
    with Workspace(log=tmp_path / "log") as workspace:
        workspace.launch([sys.executable, "-c", code], os.environ, exit_timeout_s=1, log_limit=200)
        until(older.exists)
        first = older.stat().st_mtime_ns
        assert older.read_text().startswith("one more line\n")
        assert set(older.read_text().splitlines()[:-1]) == {"one more line"}
        until(lambda: workspace.log.stat().st_size > 200)
        workspace.own(tmp_path / "other")  # the supervisor looks at each word, too, sooner than in five seconds
        until(lambda: older.stat().st_mtime_ns != first)
    assert b"\0" not in workspace.log.read_bytes()


def test_the_last_words_of_a_program_are_not_put_aside(tmp_path: Path) -> None:
    """The folder, and what was put aside in it, may go with the program."""
    with Workspace(log=tmp_path / "log") as workspace:
        workspace.launch([sys.executable, "-c", "print('word ' * 100)"], os.environ, exit_timeout_s=1, log_limit=200)
        assert workspace.wait(20) == 0
    assert (tmp_path / "log").read_text().split() == ["word"] * 100
    assert not (tmp_path / "log.1").exists()


def test_a_log_within_its_limit_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("12345")
    (tmp_path / "log").chmod(0o600)
    put_aside(str(tmp_path / "log"), 5)
    assert os.listdir(tmp_path) == ["log"]
    put_aside(str(tmp_path / "absent"), 5)
    put_aside(str(tmp_path / "log"), 4)
    assert (tmp_path / "log").read_text() == ""
    assert (tmp_path / "log.1").read_text() == "12345"
    assert (tmp_path / "log.1").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", [True, False])
def test_the_supervisor_keeps_bytecode_where_this_process_does(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the modules that it reads from the package."""
    program = Path(supervisor.__file__)
    shutil.copytree(program.parent, tmp_path / "guard", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(supervisor, "__file__", str(tmp_path / "guard" / program.name))
    monkeypatch.setattr(sys, "dont_write_bytecode", not kept)
    Workspace().close()
    assert (tmp_path / "guard" / "__pycache__").exists() == kept


def test_a_program_that_cannot_be_started_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """And nothing is left."""
    with Workspace() as workspace, pytest.raises(ServerError, match=r"/no/program could not be started"):
        workspace.launch(["/no/program"], {}, exit_timeout_s=0)
    assert "No such file or directory: '/no/program'" in capfd.readouterr().err
    assert left(workspace) == []


@pytest.mark.parametrize("_", range(10))
def test_the_end_is_told_once_with_its_code(_: int) -> None:
    """Also that of a program which was killed, as soon as it was started."""
    told: list[int] = []
    with Workspace() as workspace:
        workspace.at_end.append(told.append)
        workspace.launch(["sh", "-c", "kill -9 $$"], os.environ, exit_timeout_s=1.0)
        assert workspace.wait(30.0) == 128 + signal.SIGKILL
        assert not workspace.folder.exists()
        assert workspace.poll() == 128 + signal.SIGKILL
    assert told == [128 + signal.SIGKILL]
