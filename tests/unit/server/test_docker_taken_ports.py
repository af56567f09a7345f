"""What is said of a container's port that another program holds."""

from __future__ import annotations

import os
import socket

import pytest

from tritonforge.server.docker.taken_ports import telling_of_ports
from tritonforge.server.errors import PreflightError, ServerError
from tritonforge.server.settings.server import ServerSettings

FAILED = "the container of shop:1 can't be started: driver failed programming external connectivity on endpoint a (b)"


@pytest.mark.parametrize(
    "words",
    [
        "Bind for 127.0.0.1:{} failed: port is already allocated",
        "Error starting userland proxy: listen tcp4 127.0.0.1:{}: bind: address already in use",
        "listen tcp6 [::]:{}: bind: address already in use",
        "failed to bind host port for 127.0.0.1:{}:172.17.0.2:8001/tcp: address already in use",
        "failed to bind host port 127.0.0.1:{}/tcp: address already in use",
    ],
)
def test_a_port_that_is_taken_is_told_as_the_embedded_servers_is(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With who holds it, where Docker is on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as holding:
        port = holding.getsockname()[1]
        settings = ServerSettings(grpc_port=port)
        message = f"{FAILED}: {words.format(port)}"
        for host, holder in (("", f"process {os.getpid()} ("), ("tcp://x:1", "another process of Docker's machine")):
            monkeypatch.setenv("DOCKER_HOST", host)
            with pytest.raises(PreflightError) as told, telling_of_ports(settings):
                raise ServerError(message)
            assert str(told.value).startswith(f"port {port} (grpc): is taken by {holder}")
            assert "\n  hint: choose another with --grpc-port or TRITONFORGE_GRPC_PORT" in str(told.value)


def test_what_is_about_no_port_of_the_settings_is_told_as_it_is() -> None:
    for words in ("Bind for 127.0.0.1:9 failed: port is already allocated", "no space left on device"):
        with pytest.raises(ServerError, match=words), telling_of_ports(ServerSettings()):
            raise ServerError(f"{FAILED}: {words}")
