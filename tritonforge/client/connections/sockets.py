"""What the sockets of both kinds of client are set to, and the TLS they speak."""

from __future__ import annotations

import math
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonforge.client.deadline import Deadline
from tritonforge.client.http.answer import Garbled, NeverSent, Unreached, Unsent
from tritonforge.client.options import TLS

__all__ = ["NO_TLS", "connecting", "is_refusal", "keep_alive", "tls_context"]

NO_TLS = "it ended the TLS handshake: is it Triton's HTTP port? That speaks no TLS: use http://…, or a proxy that does"
"""What is said where the other side leaves before TLS has begun."""


_REFUSAL = re.compile(r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED)\b")


def is_refusal(words: str) -> bool:
    """Tell whether it is a handshake that OpenSSL says was refused for this client's certificate, or for want of one.

    With TLS 1.3 that comes after the client's own part of it: after the first request has been written, which the
    other side never reads then.
    """
    return _REFUSAL.search(words) is not None


@contextmanager
def connecting(deadline: Deadline) -> Iterator[Deadline]:
    """Give the limit on making a connection.

    Whatever fails meanwhile is Unsent, but for a refused connection, which says so itself. Where the limit is over, it
    is NeverSent; Unreached, if the limit is a share of the deadline.
    """
    limit = deadline.to_connect()
    try:
        yield limit
    except TimeoutError as error:
        if limit is deadline:
            raise NeverSent("no connection") from error
        raise Unreached(f"it can't be reached: no connection within {limit.timeout_s:.3g} s") from error
    except (ConnectionRefusedError, Unsent):
        raise
    except OSError as error:
        raise Unsent(error.strerror or str(error)) from error
    except Garbled as error:
        raise Unsent(str(error)) from error


def keep_alive(connection: socket.socket, keepalive_s: float) -> None:
    """Have the kernel probe an idle connection after so many seconds, three times, and end it where none answers."""
    if not keepalive_s:
        return
    seconds = math.ceil(keepalive_s)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", seconds), ("TCP_KEEPINTVL", seconds), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # macOS has no TCP_KEEPIDLE before CPython 3.10
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def tls_context(tls: TLS, protocol: str = "http/1.1") -> ssl.SSLContext:
    """Make the context of HTTPS, or of another protocol of TLS's registry: `h2`.

    Raise OSError where a file can't be read, ValueError where it isn't what it should be.
    """
    for name, file in (("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)):
        try:
            if file is not None:
                Path(file).open("rb").close()  # ssl would not name it
        except OSError as error:
            reason = f"TLS({name}={str(file)!r}) can't be read: {error.strerror}"
            raise OSError(error.errno, reason) from error
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except ssl.SSLError as error:
        raise ValueError(f"TLS(ca={str(tls.ca)!r}) holds no certificates in PEM: {error}") from error
    if tls.certificate is not None:

        def refuse_encryption() -> str:  # without it, OpenSSL asks for the password on the terminal
            hint = f"decrypt it: openssl pkey -in {tls.key} -out decrypted.pem"
            raise ValueError(f"TLS(key={str(tls.key)!r}) is encrypted, which the client has no password for; {hint}")

        try:
            context.load_cert_chain(tls.certificate, tls.key, refuse_encryption)
        except ssl.SSLError as error:
            given = f"TLS(certificate={str(tls.certificate)!r}, key={str(tls.key)!r})"
            raise ValueError(f"{given}: not a certificate and its key in PEM, or swapped: {error}") from error
    context.set_alpn_protocols([protocol])
    return context
