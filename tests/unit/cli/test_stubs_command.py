"""`tritonforge stubs` of a server: what can't be used of TLS's files, and a key that is missing, are told in a line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from tritonforge.cli import app


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of an authority, a client's certificate, its key encrypted, and the key of another one."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client, other = (authority.issue_cert(f"{name}@example.org") for name in ("client", "other"))
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.key")
    key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    encrypted = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (tmp_path / "encrypted.key").write_bytes(encrypted)
    (tmp_path / "empty.pem").write_text("no certificates")
    return tmp_path


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
@pytest.mark.parametrize(
    ("ca", "key", "words"),
    [
        ("ca.pem", "encrypted.key", "is encrypted, which the client has no password for; decrypt it: openssl pkey"),
        ("ca.pem", "other.key", "not a certificate and its key in PEM, or swapped"),
        ("empty.pem", "", "holds no certificates in PEM"),
    ],
)
def test_files_of_no_use_are_told_in_a_line(files: Path, scheme: str, ca: str, key: str, words: str) -> None:
    own = ["--certificate", str(files / "client.pem"), "--key", str(files / key)] if key else []
    output = files / "made.py"
    asked = ["stubs", f"{scheme}://127.0.0.1:1", "-o", str(output), "--ca", str(files / ca), *own]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: TLS(")
    assert words in line
    assert not output.exists()


def test_a_server_that_is_away_is_told_in_a_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["stubs", "http://127.0.0.1:1", "-o", str(tmp_path / "made.py")])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: http://127.0.0.1:1: ")
    assert not (tmp_path / "made.py").exists()


class Restricted(BaseHTTPRequestHandler):
    """A Triton with keys, as 24.10 says it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"error":"This API is restricted, expecting header \'triton-key\'"}'
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def restricted() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Restricted)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_a_key_that_is_missing_is_asked_for_by_its_option(tmp_path: Path, restricted: str) -> None:
    result = CliRunner().invoke(app, ["stubs", restricted, "-o", str(tmp_path / "made.py")])
    assert result.exit_code == 1
    assert "This API is restricted" in result.stderr
    assert "it is the key: --key-file;" in result.stderr


def test_a_check_is_mended_by_the_same_command(tmp_path: Path) -> None:
    """With all of its options."""
    repository, made = Path(__file__).parents[3] / "generated_repo", tmp_path / "made.py"
    result = CliRunner().invoke(app, ["stubs", str(repository), "-o", str(made), "--check"])
    assert result.exit_code == 1
    assert result.stderr == f"{made} is not what is written of {repository} now: run this without --check\n"
