"""The files of TLS, read before the start: the server would load all models first, and then end without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.settings.server import ServerSettings

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["check_certificates"]

_FIELDS = {
    "grpc_tls_cert": ("certificate", b"CERTIFICATE-----"),
    "grpc_tls_key": ("private key", b"PRIVATE KEY-----"),
    "grpc_tls_root": ("certificate", b"CERTIFICATE-----"),
}
"""What each file should hold, and how PEM calls that."""

_ANY_STRENGTH = "DEFAULT:@SECLEVEL=0"
"""How strong keys must be is the server's own business."""


def check_certificates(settings: ServerSettings) -> list[Diagnostic]:
    """Check that each file of TLS is there and what it should be, and that the certificate and the key are a pair."""
    files: dict[str, Path | None] = {field: getattr(settings, field) for field in _FIELDS}
    found = [fault for field, file in files.items() if file is not None and (fault := _unlike(field, file))]
    return found or list(_unreadable(files))


def _unlike(field: str, file: Path) -> Diagnostic | None:
    """Say why a file can't hold what it should, by its headers."""
    kind, label = _FIELDS[field]
    where = Where(str(file), 0, field)
    try:
        content = file.read_bytes()
    except OSError as error:
        return Diagnostic("TF501", where, f"it can't be read: {error.strerror}")
    if label in content:
        return None
    if b"-----BEGIN " not in content:
        return Diagnostic("TF501", where, "it is not PEM: it has no -----BEGIN")
    other = next((kind for kind, label in _FIELDS.values() if label in content), "")
    found = f"; it is a {other}" if other else ""
    hint = "grpc_tls_cert is the server's certificate, grpc_tls_key its private key" if other else ""
    return Diagnostic("TF501", where, f"there is no {kind} in it{found}", hint)


def _unreadable(files: dict[str, Path | None]) -> Iterator[Diagnostic]:
    """Say what of the files OpenSSL can't read, and whether certificate and key belong together."""
    from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError

    def context() -> SSLContext:
        made = SSLContext(PROTOCOL_TLS_SERVER)
        made.set_ciphers(_ANY_STRENGTH)
        return made

    for field in ("grpc_tls_cert", "grpc_tls_root"):
        if (file := files[field]) is not None:
            try:
                context().load_verify_locations(file)
            except SSLError as error:
                yield _refused(field, file, f"it can't be read as a certificate: {_reason(error)}")
                return
    certificate, key = files["grpc_tls_cert"], files["grpc_tls_key"]
    if certificate is not None and key is not None:
        try:
            context().load_cert_chain(certificate, key, password=_no_password)
        except SSLError as error:
            message = f"it can't be read as a private key: {_reason(error)}"
            if "MISMATCH" in _reason(error):
                message = f"it is not the key of {certificate}"
            yield _refused("grpc_tls_key", key, message)
        except _Encrypted:
            yield _refused("grpc_tls_key", key, "it is encrypted, and the server asks nobody for its password")


class _Encrypted(Exception):
    """OpenSSL asks for a password."""


def _no_password() -> str:
    raise _Encrypted


def _refused(field: str, file: Path, message: str) -> Diagnostic:
    return Diagnostic("TF501", Where(str(file), 0, field), message)


def _reason(error: Exception) -> str:
    with suppress(AttributeError):
        return str(error.reason)  # type: ignore[attr-defined]  # an SSLError's
    return str(error)
