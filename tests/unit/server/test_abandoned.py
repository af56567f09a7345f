"""What is left where launcher and supervisor were killed at one moment: the next workspace removes it, and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tritonforge.server import Workspace
from tritonforge.server.guard.abandoned import sweep_abandoned

LAUNCHER = """
import os, signal, sys, time
from pathlib import Path
from tritonforge.server import Workspace

workspace = Workspace()
other = workspace.own(Path(sys.argv[1]) / f"tf{workspace.token[:8]}")
open(f"/dev/shm/{workspace.shared_memory}segment", "w").close()
child = "import subprocess; print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid, flush=True)"
workspace.launch([sys.executable, "-c", f"{child}; import time; time.sleep(1000)"], os.environ, exit_timeout_s=0)
while not workspace.log.read_text().endswith("\\n"):
    time.sleep(0.01)
print(workspace.folder, other, os.getsid(workspace.server_pid), workspace.log.read_text().strip(), flush=True)
signal.pause()
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


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def launched(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A process with a workspace, and what it has: two folders, its supervisor, a process of another session."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", LAUNCHER, str(temporary)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as launcher:
        try:
            assert launcher.stdout is not None
            yield launcher, launcher.stdout.readline().split()
        finally:
            launcher.kill()


def segments(folder: str) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"{Path(folder).name}-")]


def test_the_next_workspace_removes_what_two_that_were_killed_left(
    launched: tuple[subprocess.Popen[str], list[str]],
) -> None:
    """Folders, shared memory, and a process that nobody else would find."""
    launcher, (folder, other, supervisor, sleeper) = launched
    launcher.send_signal(signal.SIGSTOP)  # so that neither has time to see the other's end
    os.kill(int(supervisor), signal.SIGKILL)
    launcher.kill()
    launcher.wait()
    until(lambda: gone(int(supervisor)))
    assert Path(folder).is_dir()
    assert Path(other).is_dir()
    assert segments(folder)
    assert not gone(int(sleeper))
    with Workspace() as workspace:
        assert not Path(folder).exists()
        assert not Path(other).exists()
        assert not segments(folder)
        until(lambda: gone(int(sleeper)))
        assert workspace.folder.is_dir()


def test_what_one_of_the_two_still_has_is_left_alone(
    launched: tuple[subprocess.Popen[str], list[str]], temporary: Path
) -> None:
    """With both alive, and with the supervisor alone."""
    launcher, (folder, _, supervisor, _) = launched
    sweep_abandoned(temporary)
    assert Path(folder).is_dir()
    os.kill(int(supervisor), signal.SIGSTOP)
    launcher.kill()
    launcher.wait()
    sweep_abandoned(temporary)
    assert Path(folder).is_dir()
    os.kill(int(supervisor), signal.SIGCONT)
    until(lambda: not Path(folder).exists())


def test_others_folders_are_left_alone(temporary: Path) -> None:
    """One that nobody has marked, one of another name, and what a list names that doesn't go with a workspace."""
    token = "0123456789abcdef"
    unmarked, foreign = temporary / "tritonforge-fedcba9876543210", temporary / "tritonforge-notes"
    precious = temporary / "precious"
    for folder in (unmarked, foreign, precious, temporary / f"tritonforge-{token}"):
        folder.mkdir()
    (foreign / ".owned").touch()
    (temporary / f"tritonforge-{token}" / ".owned").write_text(f"{precious}\n")
    sweep_abandoned(temporary)
    assert sorted(path.name for path in temporary.iterdir()) == ["precious", unmarked.name, foreign.name]
