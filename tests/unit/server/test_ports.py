"""Ports: which are free, and whose the others are."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

from tritonforge.server.launch import resolve_ports
from tritonforge.server.ports import bind_error, free_ports, holder, listening
from tritonforge.server.settings.server import ServerSettings


def test_free_ports_are_different_and_free() -> None:
    """Each can be listened on."""
    ports = free_ports("127.0.0.1", 3)
    assert len(set(ports)) == 3
    assert [bind_error("127.0.0.1", port) for port in ports] == [None] * 3


def test_a_name_becomes_its_address() -> None:
    """Triton's HTTP and metrics take none."""
    resolved = resolve_ports(ServerSettings.load({}, host="localhost", http_port=0))
    assert resolved.host == "127.0.0.1"
    assert resolved.http_port > 0


def test_a_taken_port_is_known_with_its_holder() -> None:
    """Here this process is the holder."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = bind_error("127.0.0.1", port)
        assert error is not None
        assert error.errno == errno.EADDRINUSE
        assert holder(port).startswith(f"process {os.getpid()} (")
        assert port in (listening(os.getpid()) or ())
    assert holder(port) == "another process"
    assert port not in (listening(os.getpid()) or ())


def test_the_holder_is_shown_in_one_line() -> None:
    """However its arguments look."""
    code = "import socket\n\n\nlistener = socket.create_server(('127.0.0.1', 0))\n"
    code += "print(listener.getsockname()[1], flush=True)\ninput()\n"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        said = holder(int(process.stdout.readline()))
        process.communicate("\n")
    begin = f"process {process.pid} ({sys.executable} -c import socket listener = "
    assert said.startswith(begin[:60])
    assert said.endswith("…)")
    assert "\n" not in said
