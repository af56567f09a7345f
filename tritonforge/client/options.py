"""How a client connects: what every transport is given, whatever it speaks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from tritonforge.client.message import Headers
from tritonforge.client.tensors.arguments import kind_of, named_input, require_number

__all__ = [
    "TLS",
    "Compression",
    "ConnectionOptions",
    "authorization",
    "checked_headers",
    "key_headers",
    "require_metadata",
]

Compression = Literal["", "gzip", "deflate"]
"""How bodies are compressed; empty: not at all."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")  # visible ASCII, as gRPC's metadata take it
_OURS = {
    *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
    *("inference-header-content-length", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
}


@dataclass(frozen=True, slots=True)
class TLS:
    """Which servers are trusted, and what this client shows of itself. Files are PEM.

    `ca` are the authorities to trust (None: the system's); `certificate` and `key` are the client's own, for mutual
    TLS; `server_name` is the name that the server's certificate must have, where it isn't the URL's host.
    """

    ca: str | PathLike[str] | None = None
    certificate: str | PathLike[str] | None = None
    key: str | PathLike[str] | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            given = "certificate" if self.key is None else "key"
            raise ValueError(f"TLS has a {given} only; mutual TLS takes both certificate= and key=")


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Settings of a client's connections.

    `headers` go with every request (over gRPC as metadata, their names in lower case); `token` as `Authorization:
    Bearer`, a function of it being asked before each request, and awaited by `AsyncClient` where it is asynchronous (a
    plain one blocks). `compression` is of requests, and asked for in responses. `keepalive_s`: after so many idle
    seconds the connection is probed (TCP over HTTP, pings over gRPC); 0: never. `max_connections` bounds those to one
    server; a request beyond waits for one, within its deadline, or over gRPC shares one. Raise ValueError where
    something is no such setting.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | Callable[[], str | Awaitable[str]] = field(default="", repr=False)
    tls: TLS | None = None
    compression: Compression = ""
    keepalive_s: float = 0.0
    max_connections: int = 128

    def __post_init__(self) -> None:
        checked_headers(self.headers)
        if self.token and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("token and the header Authorization are both given; leave one of them out")
        if not isinstance(self.token, str) and not callable(self.token):
            raise TypeError(f"token is {kind_of(self.token)}; it takes a text, or a function that gives one")
        if isinstance(self.token, str) and self.token:
            _check_header("token", self.token)
        if self.compression not in ("", "gzip", "deflate"):
            raise ValueError(f'compression is {self.compression!r}; it is "gzip", "deflate" or "" for none')
        require_number("keepalive_s", self.keepalive_s)
        if not 0 <= self.keepalive_s <= 32_767:  # what Linux takes for TCP_KEEPIDLE
            raise ValueError(f"keepalive_s is {self.keepalive_s}; it is 0 for none, or a number of seconds up to 32767")
        require_number("max_connections", self.max_connections, int)
        if self.max_connections < 1:
            raise ValueError(f"max_connections is {self.max_connections}; it must be 1 or more")
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    def __repr__(self) -> str:
        """Show no secrets: of headers their names, of a token that there is one."""
        shown = ["headers={" + ", ".join(f"{name!r}: …" for name in self.headers) + "}"] if self.headers else []
        shown += ["token=…"] if self.token else []
        shown += [
            f"{setting.name}={getattr(self, setting.name)!r}"
            for setting in fields(self)
            if setting.repr and getattr(self, setting.name) != setting.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[type[ConnectionOptions], tuple[object, ...]]:
        """Be pickled and copied, headers and token in clear; a view of a dictionary can't be."""
        values = [getattr(self, setting.name) for setting in fields(self)]
        return type(self), (dict(self.headers), *values[1:])

    def header_items(self) -> list[tuple[str, str]]:
        """List the headers that are the same for each request: without a token that a function gives."""
        items = list(self.headers.items())
        return [*items, *authorization(self.token)] if isinstance(self.token, str) else items


def checked_headers(headers: Mapping[str, str]) -> Headers:
    """Give a caller's headers as requests have them. Raise TypeError or ValueError for what is none, or can't be sent.

    Those that the client itself sets are refused, too.
    """
    if not hasattr(headers, "items"):
        hint = named_input("headers", headers)
        words = f'headers is of type {type(headers).__name__}; it takes a mapping: headers={{"x-tenant": "a"}}'
        raise TypeError(words + hint)
    written: dict[str, str] = {}
    for name, value in headers.items():
        _check_header(name, value)
        if (other := written.setdefault(name.lower(), name)) != name:
            raise ValueError(f"headers have {other!r} and {name!r}, which are one header: leave one of them out")
    return tuple([(name.lower(), value) for name, value in headers.items()])


def key_headers(file: Path) -> dict[str, str]:
    """Give the headers that open a server's restricted APIs over either protocol, by the file of their key.

    They have the names that a server of `tritonforge up` wants. Raise OSError where it can't be read.
    """
    key = file.read_text(encoding="utf-8").strip()
    return {"triton-key": key, "triton-grpc-protocol-triton-key": key}


def require_metadata(names: Iterable[str]) -> None:
    """Raise ValueError where headers of these names can't be gRPC's metadata: https://grpc.io/docs/guides/metadata/."""
    for name in names:
        if name.lower().endswith("-bin"):
            raise ValueError(f"the header {name} can't go over gRPC: names in -bin are those of bytes there")
        if name.lower().startswith("grpc-"):
            raise ValueError(f"the header {name} can't go over gRPC: names in grpc- are the protocol's own there")


def authorization(token: str) -> Headers:
    """Give the header of a token; none of an empty one. Raise TypeError or ValueError for a token that can't be."""
    if not isinstance(token, str):
        raise TypeError(f"the function given as token gave {kind_of(token)}; it is to give a text")
    if not token:
        return ()
    _check_header("token", token)
    return (("authorization", f"Bearer {token}"),)


def _check_header(name: str, value: str) -> None:
    for part, text in (("name", name), ("value", value)):
        if not isinstance(text, str):
            raise TypeError(f"the header {name}: its {part} is of type {type(text).__name__}; it must be a text")
    if not _NAME.fullmatch(name):
        raise ValueError(f"the header name {name!r} has characters that HTTP doesn't take in one")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is the client's own to set")
    if value and not _VALUE.fullmatch(value):
        shown = "its value" if name == "token" else f"{value!r}"
        if not (stripped := value.strip()) or _VALUE.fullmatch(stripped):
            raise ValueError(f"{name}: {shown} begins or ends with white space, which a header can't; strip it")
        raise ValueError(f"{name}: {shown} has characters that a header can't hold; visible ASCII and spaces can be")
