"""Ending a server through its launcher, also one that was stopped, or heeds nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tritonforge.server import ServerError
from tritonforge.server.errors import DaemonHangs
from tritonforge.server.state import recorded
from tritonforge.server.state.process_identity import identify
from tritonforge.server.state.recorded import end
from tritonforge.server.state.records import ServerRecord, claim, read_records, save


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def kept_by(launcher: subprocess.Popen[bytes]) -> ServerRecord:
    """Record a server of another process, once that says that it runs."""
    assert launcher.stdout is not None
    assert launcher.stdout.readline()
    identity = identify(launcher.pid)
    assert identity is not None
    record = replace(
        claim("kept", fallback="", runtime="embedded", detached=True), launcher=identity, exit_timeout_s=0.0
    )
    save(record)
    return record


@pytest.mark.parametrize(("deaf", "kill"), [(False, False), (False, True), (True, True)])
def test_a_launcher_that_was_stopped_or_hangs_is_ended(deaf: bool, kill: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears of SIGTERM once it goes on; what doesn't heed it can be killed."""
    if deaf:
        monkeypatch.setattr(recorded, "_HANGS_S", 0.0)
    code = f"import signal; signal.signal(signal.SIGTERM, signal.{'SIG_IGN' if deaf else 'SIG_DFL'})"
    command = [sys.executable, "-c", f"{code}; print(flush=True); input()"]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as launcher:
        try:
            record = kept_by(launcher)
            launcher.send_signal(signal.SIGSTOP)
            end(record, kill=kill)
            assert launcher.wait() == -(signal.SIGKILL if deaf else signal.SIGTERM)
        finally:
            launcher.kill()
    assert read_records() == []


def test_where_the_daemon_of_a_container_hangs_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor forgotten, also where the launcher has ended: the container runs on."""
    monkeypatch.setattr("tritonforge.server.docker.client.FIRST_CONTACT_S", 0.2)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "docker.sock"))
        hanging.listen(8)
        with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as launcher:
            record = replace(kept_by(launcher), runtime="docker", container="0f")
            save(record)
            for _ in range(2):
                with pytest.raises(DaemonHangs, match="it is there, and hangs: restart it"):
                    end(record)
                assert [one.name for one in read_records()] == ["kept"]
                launcher.kill()
                launcher.wait()


def test_a_launcher_that_hangs_is_told_with_what_kills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_PATIENCE_S", 0.0)
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as launcher:
        try:
            record = kept_by(launcher)
            launcher.send_signal(signal.SIGSTOP)
            monkeypatch.setattr(recorded, "_signal", lambda record: None)
            with pytest.raises(ServerError, match=r"doesn't end; kill it with: tritonforge down kept --kill"):
                end(record)
        finally:
            launcher.kill()
