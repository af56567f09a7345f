"""Files of TLS that are refused before a server starts on them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tritonforge.server import ServerSettings
from tritonforge.server.settings.certificates import check_certificates

_TURNED = "\n  hint: grpc_tls_cert is the server's certificate, grpc_tls_key its private key"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with two pairs, an encrypted key, and files that are none of it."""
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca")
    for name in ("one", "other"):
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}_cert")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}_key")
    key = load_pem_private_key((tmp_path / "one_key").read_bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "encrypted").write_bytes(encrypted)
    (tmp_path / "text").write_text("no PEM")
    (tmp_path / "cut_cert").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    (tmp_path / "cut_key").write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n")
    return tmp_path


def found(cert: str, key: str, root: str | None = None) -> list[str]:
    """Check files of the folder; what is found names them from the root."""
    settings = ServerSettings(grpc_tls_cert=Path(cert), grpc_tls_key=Path(key), grpc_tls_root=root and Path(root))
    assert settings.grpc_tls_cert == Path(cert).absolute()
    return [str(diagnostic).removesuffix("  [TF501]") for diagnostic in check_certificates(settings)]


def test_a_pair_passes() -> None:
    assert found("one_cert", "one_key", "ca") == []


def test_swapped_files_are_both_named() -> None:
    assert found("one_key", "one_cert") == [
        f"one_key grpc_tls_cert: there is no certificate in it; it is a private key{_TURNED}",
        f"one_cert grpc_tls_key: there is no private key in it; it is a certificate{_TURNED}",
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("one_cert", "text"), "text grpc_tls_key: it is not PEM: it has no -----BEGIN"),
        (("one_cert", "one_key", "no"), "no grpc_tls_root: it can't be read: No such file or directory"),
        (("one_cert", "one_key", "one_key"), "one_key grpc_tls_root: there is no certificate in it; it is a private"),
        (("one_cert", "other_key"), "other_key grpc_tls_key: it is not the key of "),
        (("one_cert", "encrypted"), "encrypted grpc_tls_key: it is encrypted, and the server asks nobody for its"),
        (("one_cert", "cut_key"), "cut_key grpc_tls_key: it can't be read as a private key: "),
        (("cut_cert", "one_key"), "cut_cert grpc_tls_cert: it can't be read as a certificate: "),
        (("one_cert", "one_key", "cut_cert"), "cut_cert grpc_tls_root: it can't be read as a certificate: "),
    ],
)
def test_each_fault_is_said_of_its_file(files: tuple[str, ...], message: str) -> None:
    (fault,) = found(*files)
    assert fault.startswith(message)
