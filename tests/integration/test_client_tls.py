"""The client over TLS: Triton's own over gRPC, mutual too; over HTTP that of a proxy before it."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from repositories import ECHO, PYTHON, write_model
from tls_files import Files
from tls_proxy import tls_proxy
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.client import TLS, AsyncClient, Client, ConnectionOptions, ServerUnavailable
from tritonforge.server import Server

ONE = np.ones((1, 1), np.float32)
SCHEMES = ["grpcs", "https"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "mutual"])
def mutual(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def urls(mutual: bool, files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    repository = tmp_path_factory.mktemp("tls_repository")
    write_model(repository, "echo", ECHO)
    write_model(repository, "wide", ECHO, config=PYTHON.replace("[1]", "[-1]"))
    certificate, key = files.server
    with ExitStack() as stack:
        server = stack.enter_context(
            Server.embedded(
                repository,
                http_port=0,
                grpc_port=0,
                metrics_port=0,
                exit_timeout_s=0,
                grpc_tls_cert=certificate,
                grpc_tls_key=key,
                grpc_tls_root=files.ca if mutual else None,
            )
        )
        behind = urlsplit(server.http_url).port
        assert behind is not None
        port = stack.enter_context(tls_proxy(files.context(mutual=mutual), behind))
        yield {"https": f"https://127.0.0.1:{port}", "grpcs": server.grpc_url, "http": server.http_url}


def ask_both(url: str | list[str], options: ConnectionOptions) -> None:
    """Ask with both kinds of client, twice, so that a connection is used again."""

    async def ask() -> None:
        async with AsyncClient(url, options=options, timeout_s=20) as client:
            for _ in range(2):
                assert (await client.infer("echo", x=ONE)).y.tolist() == [[1]]

    with Client(url, options=options, timeout_s=20) as client:
        for _ in range(2):
            assert client.infer("echo", x=ONE).y.tolist() == [[1]]
    asyncio.run(ask())


def refusals(url: str, options: ConnectionOptions) -> list[str]:
    """Give why neither kind of client gets an answer."""

    async def ask() -> str:
        async with AsyncClient(url, options=options, timeout_s=20) as client:
            with pytest.raises(ServerUnavailable) as caught:
                await client.infer("echo", x=ONE)
            return caught.value.reason

    with Client(url, options=options, timeout_s=20) as client, pytest.raises(ServerUnavailable) as caught:
        client.infer("echo", x=ONE)
    return [caught.value.reason, asyncio.run(ask())]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_client_that_trusts_the_server_and_shows_its_certificate_is_served(urls, files, mutual, scheme):
    ask_both(urls[scheme], files.options(certificate=mutual))


def test_both_ports_of_a_triton_of_which_one_has_tls_are_asked(urls, files, mutual):
    ask_both([urls["http"], urls["grpcs"]], files.options(certificate=mutual))


@pytest.mark.parametrize("kind", ["plain", "gzip", "keepalive"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_large_tensors_go_both_ways(urls, files, scheme, kind):
    more = {"plain": {}, "gzip": {"compression": "gzip"}, "keepalive": {"keepalive_s": 60}}[kind]
    options = dataclasses.replace(files.options(certificate=True), **more)
    x = np.random.default_rng(0).random((4, 250_000), np.float32)

    async def ask() -> None:
        async with AsyncClient(urls[scheme], options=options, timeout_s=60) as client:
            for result in await asyncio.gather(*[client.infer("wide", x=x) for _ in range(3)]):
                np.testing.assert_array_equal(result.y, x)

    with Client(urls[scheme], options=options, timeout_s=60) as client:
        for _ in range(2):
            np.testing.assert_array_equal(client.infer("wide", x=x).y, x)
    asyncio.run(ask())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_server_may_have_another_name_than_its_address(urls, files, mutual, scheme):
    for reason in refusals(urls[scheme], files.options(certificate=mutual, server_name="elsewhere.example")):
        assert "TLS(server_name=" in reason
    ask_both(urls[scheme], files.options(certificate=mutual, server_name="localhost"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_of_an_unknown_authority_is_not_spoken_to(urls, files, mutual, scheme):
    for reason in refusals(urls[scheme], files.options(ca=files.other_ca, certificate=mutual)):
        assert "CERTIFICATE_VERIFY_FAILED" in reason
        assert "TLS(ca=" in reason


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(urls, files, mutual, scheme):
    if mutual:
        for reason in refusals(urls[scheme], files.options()):
            assert "TLS(certificate=…, key=…)" in reason
    else:
        ask_both(urls[scheme], files.options())


def test_a_grpc_url_of_a_port_over_tls_is_told(urls):
    for reason in refusals(urls["grpcs"].replace("grpcs", "grpc"), ConnectionOptions()):
        assert "is it over TLS? then grpcs://…" in reason


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_command_takes_the_same_files(urls, files, mutual, scheme):
    """And spells what is missing as its options."""

    def infer(*options):
        return CliRunner().invoke(app, ["infer", "echo", "-i", "x=1", "--url", urls[scheme], *map(str, options)])

    certificate, key = files.client
    shown = ("--certificate", certificate, "--key", key) if mutual else ()
    found = infer("--ca", files.ca, *shown)
    assert found.exit_code == 0, found.output
    refused = infer("--ca", files.other_ca, *shown)
    assert refused.exit_code == 1
    assert "name its authority's file, --ca" in refused.stderr
    if mutual:
        assert "--certificate and --key" in infer("--ca", files.ca).stderr


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_files_that_are_no_certificates_are_refused_by_name(files, tmp_path, scheme, kind):
    text = tmp_path / "text.pem"
    text.write_text("hello")
    (certificate, key), (_, other_key) = files.client, files.server
    for tls, message in (
        (TLS(ca=text), r"TLS\(ca='.*text.pem'\) holds no certificates in PEM: "),
        (TLS(certificate=key, key=certificate), r"certificate='.*client_key.pem', .* swapped: "),
        (TLS(certificate=certificate, key=other_key), r"key='.*server_key.pem'\): not a certificate and its key"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(f"{scheme}://127.0.0.1:1", options=ConnectionOptions(tls=tls))
    encrypted = tmp_path / "encrypted.pem"
    loaded = load_pem_private_key(key.read_bytes(), None)
    form = Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    encrypted.write_bytes(loaded.private_bytes(*form))
    with pytest.raises(ValueError, match=r"encrypted.pem'\) is encrypted, .*; decrypt it: openssl pkey -in "):
        kind(f"{scheme}://127.0.0.1:1", options=ConnectionOptions(tls=TLS(certificate=certificate, key=encrypted)))
    with pytest.raises(FileNotFoundError, match=r"absent\.pem"):
        kind(f"{scheme}://127.0.0.1:1", options=ConnectionOptions(tls=TLS(ca=tmp_path / "absent.pem")))


def test_the_command_says_what_failed_and_grpcio_nothing_before_it(urls):
    command = [sys.executable, "-m", "tritonforge", "infer", "echo", "-i", "x=[[1]]", "--url", urls["grpcs"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: echo at grpcs://")
