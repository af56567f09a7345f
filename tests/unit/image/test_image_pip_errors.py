"""What is said where pip fails, by its own words, and by those of an index that is here."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme

from tritonforge.image.errors import ImageError
from tritonforge.image.wheels import download

OFFLINE = ("--no-index",)
ALONE = ("--retries=0", "--isolated")


class Asking(BaseHTTPRequestHandler):
    """Lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="packages"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Forbidding(Asking):
    """Lets nobody in, whoever it is."""

    def do_GET(self) -> None:
        self.send_error(403)


@contextmanager
def index(handler: type[BaseHTTPRequestHandler], *, authority: trustme.CA | None = None) -> Iterator[int]:
    """Have an index on a port, with TLS where an authority is given."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def refusal(folder: Path, *pip_args: str) -> list[str]:
    """Give the lines that are said of a package that isn't to be had."""
    (folder / "wheels").mkdir()
    with pytest.raises(ImageError) as failed:
        download(["numpy"], folder / "wheels", python="3.11", pip_args=pip_args)
    return str(failed.value).splitlines()


@pytest.fixture(autouse=True)
def no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip trust whom it is told to."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("argument", ["--help", "-h"])
def test_an_argument_that_has_pip_download_nothing_is_told(tmp_path: Path, argument: str) -> None:
    assert refusal(tmp_path, *OFFLINE, argument) == [
        "pip can't get the image's packages: it ended well, and downloaded no wheel",
        "  hint: leave out the --pip-arg that has it do something else (--help), or take sources (--no-binary)",
    ]


def test_of_a_traceback_the_last_line_is_told(tmp_path: Path) -> None:
    said = refusal(tmp_path, "--index-url=https://127.0.0.1:1/simple", f"--cert={tmp_path / 'ca.pem'}", *ALONE)
    assert said[0] == (
        "pip can't get the image's packages: OSError: Could not find a suitable TLS CA certificate bundle, invalid "
        f"path: {tmp_path / 'ca.pem'}"
    )
    assert said[1].startswith("  hint: give pip the authority")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_variable_that_goes_before_the_authority_that_is_given_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    mine, other = trustme.CA(), trustme.CA()
    mine.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv(variable, str(tmp_path / "other.pem"))
    with index(Forbidding, authority=mine) as port:
        url = f"--index-url=https://127.0.0.1:{port}/simple"
        said = refusal(tmp_path, url, *ALONE, f"--cert={tmp_path / 'ca.pem'}")
    assert "CERTIFICATE_VERIFY_FAILED" in said[0]
    assert said[-1] == (
        f"  hint: the variable {variable} is set ({tmp_path / 'other.pem'}), which goes before --pip-arg=--cert=… and "
        "pip's own settings: name a file that has the authority, or unset it"
    )


@pytest.mark.parametrize(
    ("handler", "name", "words"),
    [
        (Asking, "", "asks for a name and a password"),
        (Asking, "somebody:secret@", "401 Client Error"),
        (Forbidding, "somebody:secret@", "403 Client Error"),
    ],
)
def test_an_index_that_lets_nobody_in_wants_credentials(
    tmp_path: Path, handler: type[Asking], name: str, words: str
) -> None:
    """Of the network nothing is said, and pip asks nobody: what it says is kept until its end."""
    with index(handler) as port:
        said = refusal(tmp_path, f"--index-url=http://{name}127.0.0.1:{port}/simple", *ALONE)
    assert words in said[0]
    assert "secret" not in "".join(said)
    assert said[-1] == (
        "  hint: the index takes those whom it knows: give it a name and a password in ~/.netrc, or by the variable "
        "PIP_INDEX_URL=https://NAME:PASSWORD@…"
    )
