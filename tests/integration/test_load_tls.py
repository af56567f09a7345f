"""Load through TLS: a proxy in this process ends it before a real server."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from repositories import ECHO, FREE_PORTS, PYTHON, write_model
from tls_proxy import tls_proxy
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.load import Data, Load, LoadFailed, ModelLoad, Settings, TlsFiles, sweep
from tritonforge.server import Server


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of localhost that nobody trusts yet, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=60)
    return certificate, key


@pytest.mark.parametrize(("scheme", "alpn"), [("https", "http/1.1"), ("grpcs", "h2")])
def test_load_goes_through_tls(server: Server, certificate: tuple[Path, Path], scheme: str, alpn: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols([alpn])
    behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
    assert behind is not None
    with tls_proxy(context, behind) as port:
        settings = Settings(
            f"{scheme}://localhost:{port}",
            (ModelLoad("echo"),),
            (Load("concurrency", 2),),
            window_s=0.3,
            warmup_s=0.0,
            requests=20,
            tls=TlsFiles(ca=str(certificate[0])),
        )
        (point,) = sweep(settings).points
    assert (point.requests, point.errors) == (20, ())
    assert point.server[0].requests >= 20


@pytest.mark.parametrize(("scheme", "alpn"), [("https", "http/1.1"), ("grpcs", "h2")])
def test_an_authority_that_the_system_trusts_needs_no_file(
    server: Server, certificate: tuple[Path, Path], scheme: str, alpn: str, tmp_path: Path
) -> None:
    """In a process of its own: gRPC's library reads once whom the system trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols([alpn])
    trusted = {name: str(certificate[0]) for name in ("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")}
    behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
    assert behind is not None
    with tls_proxy(context, behind) as port:
        asked = ["perf", "echo", "--url", f"{scheme}://localhost:{port}", "--requests", "20", "--warmup", "0"]
        command = [sys.executable, "-m", "tritonforge", *asked, "--json", "out.json"]
        environment = os.environ | trusted
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (point,) = json.loads((tmp_path / "out.json").read_text())["points"]
    assert sum(window["requests"] for window in point["windows"]) == 20


@pytest.mark.parametrize(("scheme", "alpn"), [("https", "http/1.1"), ("grpcs", "h2")])
def test_answers_of_many_bytes_go_through_tls(
    certificate: tuple[Path, Path], scheme: str, alpn: str, tmp_path: Path
) -> None:
    """Of 6 MB: gRPC's libraries take 4 MiB, unless they are told otherwise."""
    write_model(tmp_path / "repository", "wide", ECHO, config=PYTHON.replace("dims: [1]", "dims: [-1]"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols([alpn])
    model = ModelLoad("wide", data=Data("zeros", shapes={"x": (1_500_000,)}))
    with Server.embedded(tmp_path / "repository", exit_timeout_s=0, **FREE_PORTS) as server:
        behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
        assert behind is not None
        with tls_proxy(context, behind) as port:
            url, tls = f"{scheme}://localhost:{port}", TlsFiles(ca=str(certificate[0]))
            (point,) = sweep(Settings(url, (model,), window_s=1.0, warmup_s=0.0, requests=3, tls=tls)).points
    assert (point.requests, point.errors) == (3, ())


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_an_authority_that_is_not_trusted_is_told(server: Server, certificate: tuple[Path, Path], scheme: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
    assert behind is not None
    with tls_proxy(context, behind) as port, pytest.raises(LoadFailed, match="name its authority's file, --ca"):
        sweep(Settings(f"{scheme}://localhost:{port}", (ModelLoad("echo"),)))


def test_the_command_takes_the_files(server: Server, certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    behind = urlsplit(server.http_url).port
    assert behind is not None
    with tls_proxy(context, behind) as port:
        asked = ["perf", "echo", "--url", f"https://localhost:{port}", "--requests", "20", "--warmup", "0"]
        done = CliRunner().invoke(app, [*asked, "--ca", str(certificate[0])])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_certificate_of_another_name_is_taken_by_that(server: Server, tmp_path: Path, scheme: str) -> None:
    """As behind a port-forward: questions and requests alike."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("models.example").configure_cert(context)
    context.set_alpn_protocols(["h2" if scheme == "grpcs" else "http/1.1"])
    behind = urlsplit(server.http_url if scheme == "https" else server.grpc_url).port
    assert behind is not None
    with tls_proxy(context, behind) as port:
        asked = ["perf", "echo", "--url", f"{scheme}://127.0.0.1:{port}", "--requests", "20", "--warmup", "0"]
        asked += ["--ca", str(tmp_path / "ca.pem")]
        refused = CliRunner().invoke(app, asked)
        done = CliRunner().invoke(app, [*asked, "--server-name", "models.example"])
    assert refused.exit_code == 2, refused.output
    assert "its certificate is for another name: use that in the URL, or give --server-name" in refused.output
    assert done.exit_code == 0, done.output
