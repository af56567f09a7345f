"""Certificates and keys for servers and clients of tests."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from tritonforge.client import TLS, ConnectionOptions

__all__ = ["Files"]


class Files:
    """An authority, certificates by it for the server and for a client, and an authority that nobody trusts."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca, self.other_ca = folder / "ca.pem", folder / "other_ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        trustme.CA().cert_pem.write_to_path(self.other_ca)
        self.server = self._issue(folder, "server", "127.0.0.1", "localhost")
        self.client = self._issue(folder, "client", "client@example.org")

    def _issue(self, folder: Path, name: str, *identities: str) -> tuple[Path, Path]:
        issued = self.authority.issue_cert(*identities)
        certificate, key = folder / f"{name}.pem", folder / f"{name}_key.pem"
        key.touch(0o600)
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def context(self, *, mutual: bool) -> ssl.SSLContext:
        """Make the context of a server, which asks for a certificate of the client's if it is mutual."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def options(self, *, ca: Path | None = None, certificate: bool = False, server_name: str = "") -> ConnectionOptions:
        """Make a client's options: it trusts the server, unless told otherwise."""
        own, key = self.client if certificate else (None, None)
        return ConnectionOptions(tls=TLS(ca=ca or self.ca, certificate=own, key=key, server_name=server_name))
