"""The files of a load through TLS: whom to trust, and what the generator shows of itself."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge.load.errors import InvalidLoad

if TYPE_CHECKING:
    import grpc

__all__ = ["UNTRUSTED", "TlsFiles"]

UNTRUSTED = "its certificate is by none that is trusted: name its authority's file, --ca or TlsFiles(ca=…)"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. `ca` are the authorities to trust (empty: the system's); `certificate` and `key` go together."""

    ca: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Make the context of HTTPS. Raise InvalidLoad where a file can't be read or isn't what it should be."""
        if bool(self.certificate) != bool(self.key):
            raise InvalidLoad("certificate and key go together")
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key, "")
        except (OSError, ValueError) as error:
            named = ", ".join(filter(None, (self.ca, self.certificate, self.key)))
            raise InvalidLoad(f"{named}: not files for TLS, in PEM: {error}") from error
        return context

    def credentials(self) -> grpc.ChannelCredentials:
        """Make those of gRPC."""
        import grpc

        return grpc.ssl_channel_credentials(*(_read(file) for file in (self.ca, self.key, self.certificate)))


def _read(file: str) -> bytes | None:
    return Path(file).read_bytes() if file else None
