"""TLS that fails: whose certificate it was, and whether a request was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from tritonforge.client import TLS, AsyncClient, Client, ConnectionOptions, Retries, ServerUnavailable
from tritonforge.client.connections.sockets import tls_context
from tritonforge.client.deadline import Deadline
from tritonforge.client.http import async_connection
from tritonforge.client.http.answer import Unsent
from tritonforge.client.http.connection import Route

Serve = Callable[[ssl.SSLContext, socket.socket], object]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


@contextmanager
def tls_server(authority: trustme.CA, serve: Serve, *, mutual: bool = False) -> Iterator[str]:
    """Do so with each connection over TLS; give the URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                serve(context, connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def handshake(context: ssl.SSLContext, connection: socket.socket) -> None:
    context.wrap_socket(connection, server_side=True).close()


def reset(context: ssl.SSLContext, connection: socket.socket) -> None:
    with context.wrap_socket(connection, server_side=True) as wrapped:
        wrapped.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hear_and_close(context: ssl.SSLContext, connection: socket.socket) -> None:
    with context.wrap_socket(connection, server_side=True) as wrapped:
        wrapped.recv(1)


def failure(kind: str, url: str, tls: TLS | None = None) -> ServerUnavailable:
    options: dict[str, Any] = {
        "options": ConnectionOptions(tls=tls),
        "retries": Retries(attempts=1),
        "timeout_s": 20,
    }

    async def ask() -> None:
        async with AsyncClient(url, **options) as client:
            await client.metadata("m")

    def ask_in_loop() -> None:
        asyncio.run(ask())

    def ask_blocking() -> None:
        with Client(url, **options) as client:
            client.metadata("m")

    ask_now = ask_in_loop if kind == "async" else ask_blocking
    with pytest.raises(ServerUnavailable) as caught:
        ask_now()
    return caught.value


def with_certificate(ca: Path, folder: Path) -> TLS:
    """Have a certificate, which is by nobody that a server knows."""
    other = trustme.CA().issue_cert("client@example.org")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    other.private_key_pem.write_to_path(key)
    other.cert_chain_pems[0].write_to_path(certificate)
    return TLS(ca=ca, certificate=certificate, key=key)


kinds = pytest.mark.parametrize("kind", ["blocking", "async"])


@kinds
def test_what_a_server_refuses_for_want_of_a_certificate_was_not_sent(kind, authority, ca):
    with tls_server(authority, handshake, mutual=True) as url:
        error = failure(kind, url, TLS(ca=ca))
    assert not error.sent
    assert "the server wants a certificate of this client's: TLS(certificate=…, key=…)" in error.reason


@kinds
def test_a_server_of_tls_1_2_says_less_of_a_certificate_that_it_wants(kind, authority, ca):
    def older(context: ssl.SSLContext, connection: socket.socket) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        handshake(context, connection)

    with tls_server(authority, older, mutual=True) as url:
        error = failure(kind, url, TLS(ca=ca))
    assert not error.sent
    assert "does the server want a certificate of this client's?" in error.reason


@kinds
@pytest.mark.parametrize("serve", [handshake, lambda context, connection: connection.recv(1)], ids=["tells", "resets"])
def test_plain_text_to_a_port_of_tls_is_told_of_https(kind, serve, authority):
    with tls_server(authority, serve) as url:
        error = failure(kind, url.replace("https:", "http:"))
    assert "https://" in error.reason


@kinds
def test_no_grpc_over_tls_is_told_of_https(kind, authority, ca):
    with tls_server(authority, handshake) as url:
        error = failure(kind, url.replace("https:", "grpcs:"), TLS(ca=ca))
    assert "is it an HTTP port? then use https://" in error.reason


@kinds
def test_a_certificate_that_a_server_does_not_take_is_told(kind, authority, ca, tmp_path):
    with tls_server(authority, handshake, mutual=True) as url:
        error = failure(kind, url, with_certificate(ca, tmp_path))
    assert not error.sent
    assert "the server doesn't take this client's certificate" in error.reason


@pytest.mark.parametrize("asked", ["after the refusal is read", "before it is read"])
@pytest.mark.parametrize("other", [False, True], ids=["none", "another authority's"])
def test_a_refusal_is_told_whenever_the_first_request_of_a_loop_comes(asked, other, authority, ca, tmp_path):
    left = threading.Event()

    def refuse(context: ssl.SSLContext, connection: socket.socket) -> None:
        try:
            with connection:
                handshake(context, connection)
        finally:
            left.set()

    async def ask(port: int, tls: TLS) -> None:
        deadline = Deadline(20)
        connection = await async_connection.connect(Route("127.0.0.1", port, context=tls_context(tls)), deadline)
        try:
            left.wait(20)  # the loop, too: it reads nothing meanwhile
            while asked == "after the refusal is read" and connection.open and deadline.left_s():
                await asyncio.sleep(0.001)
            await connection.exchange([b"GET / HTTP/1.1\r\n\r\n"], deadline)
        finally:
            connection.close()
            await asyncio.sleep(0)

    tls = with_certificate(ca, tmp_path) if other else TLS(ca=ca)
    with tls_server(authority, refuse, mutual=True) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(Unsent, match="ALERT_UNKNOWN_CA" if other else "ALERT_CERTIFICATE_REQUIRED"):
            asyncio.run(ask(port, tls))


@kinds
@pytest.mark.parametrize("end", [reset, hear_and_close])
def test_where_the_refusal_is_lost_a_certificate_is_asked_for(kind, end, authority, ca):
    with tls_server(authority, end) as url:
        error = failure(kind, url, TLS(ca=ca))
    assert error.sent, "who knows"
    assert "does the server want a certificate of this client's?" in error.reason


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_file_that_is_not_there_is_told_with_its_argument(kind, scheme, ca):
    for given in ("ca", "certificate", "key"):
        tls = TLS(**{"ca": ca, "certificate": ca, "key": ca, given: "nope.pem"})
        with pytest.raises(FileNotFoundError, match=rf"TLS\({given}='nope.pem'\) can't be read: No such file"):
            kind(f"{scheme}://127.0.0.1:1", options=ConnectionOptions(tls=tls))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_settings_of_tls_are_for_the_protocol_that_has_it(kind: type[Client], ca: Path) -> None:
    """Triton itself has it over gRPC alone. But a URL that lacks the s beside one that has it is a mistake."""
    options = ConnectionOptions(tls=TLS(ca=ca))
    kind(["http://127.0.0.1:1", "grpcs://127.0.0.1:2"], options=options)
    for urls in (["http://127.0.0.1:1"], ["https://127.0.0.1:1", "http://127.0.0.1:2"], ["grpcs://a:1", "grpc://b:2"]):
        with pytest.raises(ValueError, match="is not over TLS, but TLS settings are given"):
            kind(urls, options=options)
