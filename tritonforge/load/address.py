"""Where a server listens, as a URL has it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from tritonforge.load.errors import InvalidLoad

__all__ = ["Address", "model_path", "parse_address"]

_PLAIN = "!$&'()*+,;=:@%"
_PORTS = {"http": 8000, "https": 443, "grpc": 8001, "grpcs": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server's host and port; `path` precedes the API's own where a proxy puts it below one (HTTP only)."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def grpc(self) -> bool:
        """Whether it speaks gRPC."""
        return self.scheme.startswith("grpc")

    @property
    def tls(self) -> bool:
        """Whether it speaks through TLS."""
        return self.scheme.endswith("s")

    @property
    def authority(self) -> str:
        """Spell `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_address(url: str) -> Address:
    """Read `http://`, `https://`, `grpc://`, `grpcs://` and a host, with or without a port.

    Raise InvalidLoad for anything else.
    """
    wanted = "http://host:port, https://…, grpc://… or grpcs://…"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidLoad(f"{url!r} is not a URL ({error}); wanted {wanted}") from error
    if parts.netloc.endswith(":"):
        raise InvalidLoad(f"{url!r} has no port behind its colon, as of a variable that isn't set; wanted {wanted}")
    if parts.username is not None:
        raise InvalidLoad(
            f"the URL of {host} has a name or a password before it; they go in a header: --header 'authorization: …'"
        )
    path = parts.path.rstrip("/")
    if parts.scheme not in _PORTS or not host or parts.query or (path and parts.scheme.startswith("grpc")):
        raise InvalidLoad(f"{url!r} is not a server's URL; wanted {wanted}")
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], path)


def model_path(name: str, version: str) -> str:
    """Spell a model's place in the HTTP API: Triton takes its name as it came, so only what no path holds is quoted."""
    return f"/v2/models/{quote(name, safe=_PLAIN)}" + (f"/versions/{version}" if version else "")
