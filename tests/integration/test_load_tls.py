"""Load through TLS: a proxy in this process ends it before a real server."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tls_proxy import tls_proxy

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


@pytest.mark.parametrize(("scheme", "alpn"), [("https", "http/1.1"), ("grpcs", "h2")])
def test_load_goes_through_tls(server: Server, certificate: tuple[Path, Path], scheme: str, alpn: str) -> None:
    behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
    assert behind is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols([alpn])
    with tls_proxy(context, behind) as port:
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
