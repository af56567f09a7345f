"""TLS for gRPC, as grpcio takes it and for connections of our own: both trust the same."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from pathlib import Path

import grpc

from tritonforge.client.connections.sockets import tls_context
from tritonforge.client.options import TLS
from tritonforge.client.url import Endpoint

__all__ = ["credentials_of", "grpc_context"]

_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
"""The variable that names the authorities which grpcio trusts, in place of those that come with it."""


def credentials_of(endpoint: Endpoint, tls: TLS | None) -> grpc.ChannelCredentials | None:
    """Make what grpcio takes; None where there is no TLS.

    Raise ValueError for settings without TLS, or files of no use; OSError for files that can't be read.
    """
    if not endpoint.secure:
        if tls is not None:
            raise ValueError(f"{endpoint} is not over TLS, but TLS settings are given; use https:// or grpcs://")
        return None
    if tls is not None:
        tls_context(tls)  # which says what is wrong with a file; grpc doesn't
    ca, certificate, key = (
        None if file is None else Path(file).read_bytes()
        for file in ((tls.ca, tls.certificate, tls.key) if tls else (None, None, None))
    )
    return grpc.ssl_channel_credentials(ca, key, certificate)


def grpc_context(tls: TLS | None) -> ssl.SSLContext:
    """Make the context of our own connections. Raise what `credentials_of` raises."""
    context = tls_context(tls or TLS(), "h2")
    if tls is None or tls.ca is None:
        own = Path(grpc.__file__).parent / "_cython" / "_credentials" / "roots.pem"
        with suppress(OSError):  # also ssl's own; grpcio goes on without, too
            context.load_verify_locations(os.environ.get(_ROOTS) or own)
    return context
