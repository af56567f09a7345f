"""The files of a load through TLS: whom to trust, and what the generator shows of itself."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge.load.errors import InvalidLoad

if TYPE_CHECKING:
    import grpc

__all__ = ["TlsFiles", "distrust"]

_UNTRUSTED = "its certificate is by none that is trusted: name its authority's file, --ca or TlsFiles(ca=…)"
_MISNAMED = "its certificate is for another name: use that in the URL, or give --server-name or TlsFiles(server_name=…)"
_BOTH = "--certificate and --key, or TlsFiles(certificate=…, key=…)"
_CLOSED = re.compile(r"Remote end closed|reset by peer|[Bb]roken pipe|EOF occurred|Socket closed|Unwrap failed|_ALERT_")
_OTHER_NAME = re.compile(
    r"Hostname mismatch|IP address mismatch|[Pp]eer name .* is not in peer certificate|[Hh]ostname Verif"
)


def distrust(words: str) -> str:
    """Say why a server's certificate isn't trusted, and what to do; empty where the words are of something else."""
    if _OTHER_NAME.search(words):
        return _MISNAMED
    return _UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in words else ""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. `ca` are the authorities to trust (empty: the system's); `certificate` and `key` go together.

    `server_name` is the name that the server's certificate must have, where it isn't the URL's host.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""

    def context(self) -> ssl.SSLContext:
        """Make the context of HTTPS. Raise InvalidLoad where a file can't be read or isn't what it should be."""

        def refuse_encryption() -> str:  # without it, OpenSSL asks for the password on the terminal
            hint = f"decrypt it: openssl pkey -in {self.key} -out decrypted.pem"
            raise InvalidLoad(f"{self.key} is encrypted, which the load generator has no password for; {hint}")

        if bool(self.certificate) != bool(self.key):
            raise InvalidLoad(f"certificate and key go together: {_BOTH}")
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key, refuse_encryption)
        except InvalidLoad:
            raise
        except (OSError, ValueError) as error:
            named = ", ".join(filter(None, (self.ca, self.certificate, self.key)))
            raise InvalidLoad(f"{named}: not files for TLS, in PEM: {error}") from error
        return context

    def lacking(self, words: str) -> str:
        """Say that a server may want a client's certificate, where it closed a connection without one; else nothing."""
        closed = not self.certificate and _CLOSED.search(words)
        return f"it may want a certificate of the client's, for mutual TLS: {_BOTH}" if closed else ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Make those of gRPC."""
        import grpc

        return grpc.ssl_channel_credentials(*(_read(file) for file in (self.ca, self.key, self.certificate)))

    @property
    def channel_options(self) -> tuple[tuple[str, str], ...]:
        """Give the options of gRPC's channels beside the credentials."""
        return (("grpc.ssl_target_name_override", self.server_name),) if self.server_name else ()

    def check(self) -> None:
        """Raise InvalidLoad where a file can't be used, or the server's name isn't one."""
        context = self.context()
        if self.server_name:
            try:
                context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=self.server_name)
            except (TypeError, ValueError) as error:
                raise InvalidLoad(f"server_name {self.server_name!r} is no host's name: {error}") from error


def _read(file: str) -> bytes | None:
    return Path(file).read_bytes() if file else None
