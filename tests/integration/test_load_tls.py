"""Load through TLS: a proxy in this process ends it before a real server."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tritonforge.load import Load, ModelLoad, Settings, sweep
from tritonforge.server import Server


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate of localhost that this process and those below it trust, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=60)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(certificate))
    return certificate, key


@contextmanager
def proxy(files: tuple[Path, Path], port: int, protocol: str) -> Iterator[int]:
    """Forward TLS connections to a port of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.set_alpn_protocols([protocol])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_forward, args=(plain, context, port), daemon=True).start()


def _forward(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", port)) as server,
        context.wrap_socket(plain, server_side=True) as client,
    ):
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        server.shutdown(socket.SHUT_RDWR)
        back.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.mark.parametrize(("scheme", "alpn"), [("https", "http/1.1"), ("grpcs", "h2")])
def test_load_goes_through_tls(server: Server, certificate: tuple[Path, Path], scheme: str, alpn: str) -> None:
    behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
    assert behind is not None
    with proxy(certificate, behind, alpn) as port:
        settings = Settings(
            f"{scheme}://localhost:{port}",
            (ModelLoad("echo"),),
            (Load("concurrency", 2),),
            window_s=0.3,
            warmup_s=0.0,
            requests=20,
        )
        (point,) = sweep(settings).points
    assert (point.requests, point.errors) == (20, ())
    assert point.server[0].requests >= 20
