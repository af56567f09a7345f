"""The URLs that a client takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Endpoint", "parse_url"]

Scheme = Literal["http", "https", "grpc", "grpcs"]

# Triton speaks TLS over gRPC only: HTTPS is a proxy's, and has a proxy's port.
_PORTS: dict[Scheme, int] = {"http": 8000, "https": 443, "grpc": 8001, "grpcs": 8001}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. `path` (`/prefix`) precedes Triton's own where a proxy puts it below one; HTTP only."""

    scheme: Scheme
    host: str
    port: int
    path: str = ""

    @property
    def speaks_grpc(self) -> bool:
        """Whether it is the gRPC API; else it is the HTTP one."""
        return self.scheme in ("grpc", "grpcs")

    @property
    def secure(self) -> bool:
        """Whether the connection is over TLS."""
        return self.scheme in ("https", "grpcs")

    @property
    def authority(self) -> str:
        """Spell `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(url: str) -> Endpoint:
    """Read `http://host:port`, `grpc://host:port`, `https://…`, `grpcs://…`, or `host:port` alone, which is HTTP.

    The port defaults to Triton's, 8000 for HTTP and 8001 for gRPC, and to 443 for HTTPS. Raise ValueError for
    anything else.
    """
    wanted = "http://host:port or grpc://host:port, over TLS https:// or grpcs://"
    if not isinstance(url, str):
        raise TypeError(f"{url!r} is not a URL; wanted {wanted}")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL ({error}); wanted {wanted}") from error
    if port == 0:
        raise ValueError(f"{url!r} has the port 0, at which nothing can listen; wanted {wanted}")
    scheme = next((known for known in _PORTS if known == parts.scheme), None)
    if scheme is None:
        raise ValueError(f"{url!r}: {parts.scheme}:// is not supported; wanted {wanted}")
    path = parts.path.rstrip("/")
    if path and scheme in ("grpc", "grpcs"):
        raise ValueError(f"{url!r}: Triton has no path over gRPC; wanted {wanted}")
    if "v2" in path.split("/"):
        hint = "the client adds Triton's own paths; one here is that below which a proxy has them"
        raise ValueError(f"{url!r} has the path {path}, which is Triton's: {hint}; wanted {wanted}")
    extra = parts.query or parts.fragment or parts.username is not None
    if not host or extra or not (url.isascii() and url.isprintable()) or any(char.isspace() for char in url):
        raise ValueError(f"{url!r} is not a URL of a Triton server; wanted {wanted}")
    return Endpoint(scheme, host, port or _PORTS[scheme], path)
