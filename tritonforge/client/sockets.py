"""What the sockets of both kinds of client are set to, and the TLS they speak."""

from __future__ import annotations

import math
import socket
import ssl

from tritonforge.client.options import TLS

__all__ = ["keep_alive", "tls_context"]


def keep_alive(connection: socket.socket, keepalive_s: float) -> None:
    """Have the kernel probe an idle connection after so many seconds, three times, and end it where none answers."""
    if not keepalive_s:
        return
    seconds = math.ceil(keepalive_s)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", seconds), ("TCP_KEEPINTVL", seconds), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # macOS has no TCP_KEEPIDLE before CPython 3.10
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def tls_context(tls: TLS) -> ssl.SSLContext:
    """Make the context of HTTPS. Raise OSError where a file can't be read, ssl.SSLError where it is not PEM."""
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context
