"""What is said where no Docker daemon answers, and what to do about it, for each way in which none does."""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tritonforge.server import PreflightError
from tritonforge.server.docker.absent import explain_absence
from tritonforge.server.docker.client import connect


def absence(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Try to reach a daemon where there is none."""
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(PreflightError) as absent:
        connect()
    return str(absent.value)


def test_a_socket_that_is_missing_or_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"unix://{tmp_path}/docker.sock"
    missing = absence(address, monkeypatch)
    assert missing.startswith(f"no Docker daemon answers at {address}: No such file or directory\n  hint: start it")
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(tmp_path / "docker.sock"))
    stale = absence(address, monkeypatch)
    assert stale.startswith(f"no Docker daemon answers at {address}: Connection refused\n  hint: that socket is of one")


def test_a_socket_of_others() -> None:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    forbidden = explain_absence(error, "unix:///var/run/docker.sock")
    assert forbidden.message == "no Docker daemon answers at unix:///var/run/docker.sock: Permission denied"
    assert forbidden.hint.startswith("your user must be in the group docker: ")


def test_a_port_at_which_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told in the system's words, without those of the libraries between."""
    assert absence("tcp://127.0.0.1:1", monkeypatch).splitlines() == [
        "no Docker daemon answers at tcp://127.0.0.1:1: Connection refused",
        "  hint: start one there, or point DOCKER_HOST at another; without that variable it is this machine's  [TF530]",
    ]
    late = explain_absence(OSError("HTTPConnectionPool(host='a'): Read timed out. (read timeout=10.0)"), "tcp://a:1")
    assert late.message == "no Docker daemon answers at tcp://a:1: it doesn't answer in time"
    assert late.hint == "it is there, and hangs: restart it there, or point DOCKER_HOST at another"


def test_a_daemon_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections as long as there is room for them, and says nothing."""
    monkeypatch.setattr("tritonforge.server.docker.client.FIRST_CONTACT_S", 0.2)
    address = f"unix://{tmp_path}/docker.sock"
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "docker.sock"))
        hanging.listen(8)
        for reason in ("it doesn't answer in time", "Resource temporarily unavailable"):
            assert absence(address, monkeypatch).splitlines() == [
                f"no Docker daemon answers at {address}: {reason}",
                "  hint: it is there, and hangs: restart it (`systemctl restart docker`)  [TF530]",
            ]
            hanging.listen(0)


def test_what_follows_the_first_answer_may_take_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Daemon(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps({"ApiVersion": "1.45"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Daemon) as daemon:
        Thread(target=daemon.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.server_port}")
        with closing(connect()) as client:
            assert client.api.timeout == 60
        daemon.shutdown()


@pytest.mark.parametrize("address", ["foo://bar", "nonsense", "tcp://", "unix://"])
def test_an_address_that_is_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = absence(address, monkeypatch)
    assert said.startswith(f"DOCKER_HOST={address} is no address of a daemon: ")
    assert "it is to be unix:///path, tcp://host:port" in said
