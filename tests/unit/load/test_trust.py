"""Files of TLS for a load."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tritonforge.load import InvalidLoad, LoadFailed, ModelLoad, Settings, TlsFiles
from tritonforge.load.address import parse_address
from tritonforge.load.links.http import connect as connect_link
from tritonforge.load.observed.control import connect
from tritonforge.load.settings_check import check_settings
from tritonforge.load.trust import distrust
from tritonforge.load.workers.job import Target


def test_without_files_the_system_says_whom_to_trust() -> None:
    assert TlsFiles().context().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ca": "/no/such.pem"}, "/no/such.pem: not files for TLS, in PEM: "),
        ({"ca": __file__}, "not files for TLS, in PEM: "),
        ({"certificate": __file__}, "certificate and key go together: --certificate and --key, or TlsFiles"),
        ({"certificate": __file__, "key": __file__}, "not files for TLS, in PEM: "),
    ],
)
def test_files_that_are_none_of_tls_are_refused_before_anything_is_sent(given: dict[str, str], words: str) -> None:
    settings = Settings("grpcs://localhost:1", (ModelLoad("m"),), tls=TlsFiles(**given))
    with pytest.raises(InvalidLoad, match=words):
        check_settings(settings)


def test_a_load_without_tls_reads_none(tmp_path: Path) -> None:
    check_settings(Settings("grpc://localhost:1", (ModelLoad("m"),), tls=TlsFiles(ca=str(tmp_path / "none.pem"))))


def test_an_encrypted_key_is_told_with_how_to_decrypt_it(tmp_path: Path) -> None:
    own = trustme.CA().issue_cert("client@example.org")
    certificate, encrypted = tmp_path / "client.pem", tmp_path / "encrypted.key"
    own.cert_chain_pems[0].write_to_path(certificate)
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    encrypted.write_bytes(text)
    files = TlsFiles(certificate=str(certificate), key=str(encrypted))
    words = re.escape(f"decrypt it: openssl pkey -in {encrypted} -out decrypted.pem")
    with pytest.raises(InvalidLoad, match=rf"encrypted\.key is encrypted, which .*; {words}$"):
        check_settings(Settings("https://localhost:1", (ModelLoad("m"),), tls=files))


@pytest.mark.parametrize("name", ["a\0b", "a..b", "x" * 300])
def test_a_name_that_no_server_has_is_refused(name: str) -> None:
    settings = Settings("grpcs://localhost:1", (ModelLoad("m"),), tls=TlsFiles(server_name=name))
    with pytest.raises(InvalidLoad, match=r"^server_name .* is no host's name: "):
        check_settings(settings)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, …", "--server-name"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP address mismatch, …", "--server-name"),
        ("Peer name 127.0.0.1 is not in peer certificate", "--server-name"),
        ("… UNAUTHENTICATED: Hostname Verification Check failed.", "--server-name"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "--ca"),
    ],
)
def test_why_a_certificate_is_not_trusted_is_told(words: str, hint: str) -> None:
    assert hint in distrust(words)


def test_other_words_say_nothing_of_trust() -> None:
    assert distrust("Connection refused") == ""
    assert TlsFiles().lacking("Connection refused") == ""
    assert TlsFiles(certificate="own.pem", key="own.key").lacking("Remote end closed connection") == ""


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_server_that_wants_a_certificate_is_told_with_the_option(scheme: str, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2", "http/1.1"])

    def refuse() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                with contextlib.suppress(OSError), connection, context.wrap_socket(connection, server_side=True):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        address = parse_address(f"{scheme}://localhost:{listener.getsockname()[1]}")
        control = connect(address, {}, TlsFiles(ca=str(tmp_path / "ca.pem")))
        with pytest.raises(LoadFailed, match=r"it may want a certificate of the client's, .*: --certificate"):
            control.server()
        control.close()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_the_name_is_asked_for_by_questions_and_by_links(tmp_path: Path) -> None:
    authority, asked = trustme.CA(), []
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("models.example").configure_cert(context)
    context.sni_callback = lambda _, name, __: asked.append(name)
    tls = TlsFiles(ca=str(tmp_path / "ca.pem"), server_name="models.example")

    def answer() -> None:
        for _ in range(2):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.settimeout(20)
                if connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        control = connect(parse_address(f"https://127.0.0.1:{port}"), {}, tls)
        assert control.server() == {}
        control.close()
        asyncio.run(_link(Target("127.0.0.1", port, tls=tls)))
        thread.join(20)
    assert asked == ["models.example", "models.example"]


async def _link(target: Target) -> None:
    lost = asyncio.Event()

    class Quiet(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    class Place:
        link: object = None

    await connect_link(target, None, Place(), lambda *_: Quiet())  # type: ignore[arg-type,return-value]
    await asyncio.wait_for(lost.wait(), 20)  # a loop that ends before leaves the socket open
