"""The URLs that a client takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

__all__ = ["Endpoint", "parse_url"]

Scheme = Literal["http", "https", "grpc", "grpcs"]

# Triton speaks TLS over gRPC only: HTTPS is a proxy's, and has a proxy's port.
_PORTS: dict[Scheme, int] = {"http": 8000, "https": 443, "grpc": 8001, "grpcs": 8001}

_WANTED = "http://host:port or grpc://host:port, over TLS https:// or grpcs://"
_CREDENTIALS = re.compile(r"^((?:[^:/?#]*://)?).*@", re.DOTALL)


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
    anything else, one with a password among it, which no message shows.
    """
    if not isinstance(url, str):
        raise TypeError(f"{url!r} is not a URL; wanted {_WANTED}")
    parts, port = _split(url)
    host = parts.hostname
    if parts.netloc.endswith(":"):
        raise ValueError(f"{url!r} has no port behind its colon, as of a variable that isn't set; wanted {_WANTED}")
    if port == 0:
        raise ValueError(f"{url!r} has the port 0, at which nothing can listen; wanted {_WANTED}")
    scheme = next((known for known in _PORTS if known == parts.scheme), None)
    if scheme is None:
        raise ValueError(f"{url!r}: {parts.scheme}:// is not supported; wanted {_WANTED}")
    path = parts.path.rstrip("/")
    if path and scheme in ("grpc", "grpcs"):
        raise ValueError(f"{url!r}: Triton has no path over gRPC; wanted {_WANTED}")
    if "v2" in path.split("/"):
        hint = "the client adds Triton's own paths; one here is that below which a proxy has them"
        raise ValueError(f"{url!r} has the path {path}, which is Triton's: {hint}; wanted {_WANTED}")
    written = url.isascii() and url.isprintable() and not any(char.isspace() for char in url)
    if not host or parts.query or parts.fragment or not written:
        raise ValueError(f"{url!r} is not a URL of a Triton server; wanted {_WANTED}")
    return Endpoint(scheme, host, port or _PORTS[scheme], path)


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Give the parts of a URL, and its port. Raise ValueError where it is none, or has credentials."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        if "@" in url:  # of a password with a "/" in it a part would be in those words
            raise _credentials(url) from None
        raise ValueError(f"{url!r} is not a URL ({error}); wanted {_WANTED}") from error
    if parts.username is not None:
        raise _credentials(url)
    return parts, port


def _credentials(url: str) -> ValueError:
    """Refuse a URL with a name or a password in it, and show neither."""
    shown = _CREDENTIALS.sub(r"\1…@", url)
    hint = 'credentials go in a header, as in ConnectionOptions(headers={"authorization": "Basic …"}) or (token=…)'
    return ValueError(f"{shown!r} has a name or a password before its host: {hint}; wanted {_WANTED}")
