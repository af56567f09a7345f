"""How a server is to run: ports, timeouts and flags, from arguments and from TRITONFORGE_* variables."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.errors import SettingsError
from tritonforge.server.ports import LISTEN_ON, unknown_host
from tritonforge.server.settings.errors import explain, misspelled_variables

__all__ = ["PORTS", "ServerSettings", "from_text"]

Port = Annotated[int, Field(ge=0, le=65535)]

_MOST = 10**9
"""The greatest of times and counts: 30 years, and within the 32 bits of tritonserver's flags (24.10)."""

PORTS = ("http_port", "grpc_port", "metrics_port")
"""The fields that are ports."""

Api = Literal[
    "health",
    "metadata",
    "inference",
    "shared-memory",
    "model-config",
    "model-repository",
    "statistics",
    "trace",
    "logging",
]
"""What tritonserver can ask a key for (24.10)."""

_PREFIX = "TRITONFORGE_"
_LISTS = {"extra_args", "rate_limit_resources", "restricted_apis", "load_models"}

_FILES = {"grpc_tls_cert", "grpc_tls_key", "grpc_tls_root", "tritonserver"}
"""The fields that name a file; the last one may be a program on PATH, too."""

_SMALLEST_CACHE = 1024
_LEAST_LOG = 64 << 10

_CONTROL: tuple[Api, ...] = ("model-repository",)
_PUBLIC: tuple[Api, ...] = ("model-repository", "shared-memory", "trace", "logging")

_OPENING = ("--allow-s", "--allow-v")
"""How flags of services begin that listen on all addresses (24.10), of SageMaker's and Vertex AI's, also shortened."""

_FALSE = {"0", "false", "False"}

_OURS = {
    "--allow-http": "",
    "--allow-metrics": "metrics",
    "--backend-directory": "",
    "--cache-directory": "",
    "--exit-on-error": "",
    "--exit-timeout-secs": "exit_timeout_s",
    "--grpc-address": "host",
    "--grpc-port": "grpc_port",
    "--grpc-restricted-protocol": "restricted_apis",
    "--http-address": "host",
    "--http-port": "http_port",
    "--http-restricted-api": "restricted_apis",
    "--load-model": "load_models",
    "--log-file": "",
    "--log-verbose": "log_verbose",
    "--metrics-address": "host",
    "--metrics-port": "metrics_port",
    "--model-control-mode": "model_control",
    "--model-repository": "",
    "--model-store": "",
}
"""Flags of tritonserver that tritonforge gives itself, and the setting to use instead."""


def from_text(field: str, text: str, split: Callable[[str], Sequence[str]]) -> str | tuple[str, ...]:
    """Read what a setting's text says: a list is in JSON, or is split; of others it is the text itself."""
    if field not in _LISTS:
        return text
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            return text  # refused as no list, with what it is
        return tuple(found)
    return tuple(split(text))


class ServerSettings(BaseModel):
    """How to run a server, whatever runs it.

    A port of 0 takes a free one; times are in seconds; sizes are bytes or "64MB"; `extra_args` go to tritonserver.
    `host` is the address to listen on. Any but this machine's own needs `public`, which alone means 0.0.0.0.
    `exit_timeout_s` is how long requests under way have, once the server is told to stop; 0 kills it at once.
    `log_limit` is the size beyond which the log is put aside (its name with .1 added, in the place of the one that was
    put aside before) and begun anew, seen within five seconds; 0 lets it grow.
    `model_control` none loads all models at the start; explicit too, or `load_models`, of which () is none, and lets
    them be loaded and unloaded afterwards; poll looks at the repository every `poll_s`.
    `auto_complete` has Triton complete configurations, for which it starts each Python process twice at a load; None:
    where a model may need it, which those of a built repository don't.
    `strict_readiness` has /v2/health/ready answer 200 only while every version that was ever tried is loaded. None is
    true where models are loaded once, and false where they are loaded anew: see `ready_with_all`.
    `restricted_apis` want `restricted_key`, besides those that control (explicit) and `public` call for; () opens all.
    A server whose key is None makes one.
    `tritonserver` is another server's program than the wheel's: a path, or a name on PATH; its own backends lie beside.
    The server runs in a temporary folder: a path in `extra_args` is to be absolute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    http_port: Port = 8000
    grpc_port: Port = 8001
    metrics_port: Port = 8002
    host: str = Field(default="127.0.0.1", min_length=1)
    public: bool = False
    ready_timeout_s: float = Field(default=120.0, gt=0, le=_MOST)
    exit_timeout_s: float = Field(default=10.0, ge=0, le=_MOST)
    strict_readiness: bool | None = None
    log_verbose: int = Field(default=0, ge=0, le=_MOST)
    log_level: Literal["error", "warning", "info"] = "info"
    log_format: Literal["default", "ISO8601"] = "default"
    log_limit: ByteSize = ByteSize(64 << 20)
    model_control: Literal["none", "poll", "explicit"] = "none"
    load_models: tuple[str, ...] | None = None
    auto_complete: bool | None = None
    poll_s: int = Field(default=2, ge=1, le=_MOST)
    cache_size: ByteSize = ByteSize(0)
    rate_limiter: bool = False
    rate_limit_resources: tuple[str, ...] = ()
    metrics: bool = True
    latency_quantiles: bool = True
    trace_endpoint: str = ""
    trace_rate: int = Field(default=1000, ge=1, le=_MOST)
    restricted_apis: tuple[Api, ...] | None = None
    restricted_key: SecretStr | None = None
    restricted_header: str = Field(default="triton-key", pattern=r"^[a-z][a-z0-9-]*$")
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_root: Path | None = None
    tritonserver: str = ""
    extra_args: tuple[str, ...] = ()

    @property
    def ready_with_all(self) -> bool:
        """Whether the server calls itself ready only with all models, strictly.

        Triton then counts versions that are loading or unloading, and one that failed for ever (24.10): each reload
        would take the server out of a load balancer, and a failed one for good. Our start waits for all models anyway.
        """
        return self.model_control == "none" if self.strict_readiness is None else self.strict_readiness

    @property
    def grpc_scheme(self) -> Literal["grpc", "grpcs"]:
        """The scheme of URLs of the gRPC port."""
        return "grpc" if self.grpc_tls_cert is None else "grpcs"

    @property
    def serves_grpc(self) -> bool:
        """Whether there is a gRPC port: `extra_args` may switch it off."""
        words = " ".join(self.extra_args).replace("=", " ").split()
        return not any(flag == "--allow-grpc" and value in _FALSE for flag, value in pairwise(words))

    @property
    def restricted(self) -> tuple[Api, ...]:
        """The APIs that want the key."""
        if self.restricted_apis == ():
            return ()
        called_for = _PUBLIC if self.public else _CONTROL if self.model_control == "explicit" else ()
        return tuple(dict.fromkeys((*called_for, *(self.restricted_apis or ()))))

    @property
    def loads_for_all(self) -> bool:
        """Whether other machines may have it load models, without a key."""
        return self.public and self.model_control == "explicit" and not (self.restricted or _is_loopback(self.host))

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        defaults_file: Path | None = None,
        **explicit: Any,
    ) -> Self:
        """Read TRITONFORGE_HTTP_PORT and the like; an explicit argument that is not None wins, `defaults` lose.

        Those are of the pyproject.toml `defaults_file`, if it is given, and relative paths among them lie beside it.

        Raises:
            SettingsError: values that can't be, each named by the variable, argument or file it came from.
        """
        variables = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        origins: dict[str, Where] = {}
        written = dict(defaults or {})
        if defaults_file is not None:
            table = "[tool.tritonforge.server]"
            origins = {field: Where(str(defaults_file), 0, f"{table} {field}") for field in written}
            written |= {field: _beside(defaults_file, field, written[field]) for field in _FILES.intersection(written)}
        for field in cls.model_fields:
            variable = _PREFIX + field.upper()
            text = variables.get(variable, "").strip()
            if text:
                origins[field] = Where(subject=variable)
                values[field] = from_text(field, text, shlex.split)
        given = {field: value for field, value in explicit.items() if value is not None}
        if _truth(given.get("public", values.get("public", False))) and "host" not in given | values:
            given["host"] = "0.0.0.0"
        try:
            return cls(**(written | values | given))
        except ValidationError as error:
            told = {field: where for field, where in origins.items() if field not in given}
            raise SettingsError(explain(error, told, list(cls.model_fields))) from None

    @classmethod
    def unread_variables(cls, environ: Mapping[str, str] | None = None) -> list[Diagnostic]:
        """Warn of variables that look like a misspelled setting's, such as TRITONFORGE_HTPP_PORT."""
        known = [_PREFIX + field.upper() for field in cls.model_fields]
        return misspelled_variables(os.environ if environ is None else environ, known)

    def replace(self, **changes: Any) -> Self:
        """Give the same settings with some changed and checked again; None changes nothing.

        Raises:
            SettingsError: values that can't be.
        """
        return self.load(
            {}, **(self.model_dump() | {name: value for name, value in changes.items() if value is not None})
        )

    @field_validator("extra_args")
    @classmethod
    def _leave_ours(cls, extra_args: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse flags that tritonforge gives itself, shortened ones too: getopt_long takes those for the whole."""
        for argument in extra_args:
            flag = argument.partition("=")[0]
            meant = [flag] if flag in _OURS else [ours for ours in _OURS if len(flag) > 2 and ours.startswith(flag)]
            if meant == ["--allow-http"]:
                raise ValueError("tritonforge asks the server over HTTP, which stays on")
            if meant:
                name = flag if meant == [flag] else f"{flag}, short for {' or '.join(meant)},"
                settings = ", ".join(dict.fromkeys(_OURS[ours] for ours in meant if _OURS[ours]))
                instead = f"; use {settings}" if settings else ""
                raise ValueError(f"tritonforge gives {name} itself{instead}")
        return extra_args

    @field_validator("restricted_key")
    @classmethod
    def _one_word(cls, key: SecretStr | None) -> SecretStr | None:
        """Refuse a key that a header or Triton's flag can't hold."""
        if key is not None and not re.fullmatch(r"[\w.~+/-]{8,}", key.get_secret_value()):
            raise ValueError("a key is at least 8 letters, digits and ._~+/-")
        return key

    @field_validator("grpc_tls_cert", "grpc_tls_key", "grpc_tls_root")
    @classmethod
    def _from_anywhere(cls, file: Path | None) -> Path | None:
        """Name a file from the root, as the server runs elsewhere."""
        return file and file.absolute()

    @field_validator("trace_endpoint")
    @classmethod
    def _is_an_url(cls, url: str) -> str:
        """Refuse what Triton would send no trace to, without a word (24.10)."""
        if url and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
            raise ValueError(f"found {url!r}: a URL is wanted, http://host:4318/v1/traces")
        return url

    @field_validator("log_limit")
    @classmethod
    def _log_has_room(cls, size: ByteSize) -> ByteSize:
        """Refuse a limit that a start alone writes beyond, so that its words would be lost."""
        if 0 < size < _LEAST_LOG:
            raise ValueError(f"a log is put aside at {_LEAST_LOG >> 10} KiB at the least; 0 lets it grow")
        return size

    @field_validator("cache_size")
    @classmethod
    def _cache_has_room(cls, size: ByteSize) -> ByteSize:
        """Refuse a cache that Triton can't make (24.10)."""
        if 0 < size < _SMALLEST_CACHE:
            raise ValueError(f"the response cache needs at least {_SMALLEST_CACHE} bytes; 0 is none")
        return size

    @field_validator("rate_limit_resources")
    @classmethod
    def _are_resources(cls, resources: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what has Triton show its usage in the place of a reason (24.10)."""
        for resource in resources:
            count = re.fullmatch(r"[^:]+:(\d+)(:-?\d{1,9})?", resource)
            if count is None or int(count[1]) > _MOST:
                raise ValueError(f"found {resource!r}: NAME:COUNT is wanted, or NAME:COUNT:DEVICE, as R1:10")
        return resources

    @model_validator(mode="after")
    def _public_is_said(self) -> Self:
        """Refuse to listen for other machines where that isn't said, and a name that is none."""
        if not self.public and not _is_loopback(self.host):
            if unknown := unknown_host(self.host):
                raise ValueError(f"host {self.host} {unknown}; {LISTEN_ON}")
            raise ValueError(
                f"host {self.host} is reached from other machines; say --public (public=True) if that is meant"
            )
        for argument in () if self.public else self.extra_args:
            if argument.startswith(_OPENING):
                words = "listens for other machines, whatever host says; say --public (public=True) if that is meant"
                raise ValueError(f"{argument} {words}")
        return self

    @model_validator(mode="after")
    def _chosen_models_are_controlled(self) -> Self:
        """Refuse to choose models where the server loads all."""
        if self.load_models is not None and self.model_control != "explicit":
            raise ValueError(f"load_models goes with model_control=explicit; with {self.model_control} all are loaded")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        """Refuse half of a pair."""
        if (self.grpc_tls_cert is None) != (self.grpc_tls_key is None):
            raise ValueError("grpc_tls_cert and grpc_tls_key go together")
        if self.grpc_tls_root is not None and self.grpc_tls_cert is None:
            raise ValueError("grpc_tls_root, for clients' certificates, needs grpc_tls_cert and grpc_tls_key")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse one port for two services."""
        fixed = [getattr(self, name) for name in PORTS if getattr(self, name)]
        if len(set(fixed)) < len(fixed):
            raise ValueError(f"http_port, grpc_port and metrics_port must differ, found {', '.join(map(str, fixed))}")
        return self


def _beside(file: Path, field: str, value: Any) -> Any:
    """Take a path as relative to a file's folder; what names a program on PATH, or is no path, stays as it is."""
    if not value or not isinstance(value, str) or (field == "tritonserver" and "/" not in value):
        return value
    return str(file.parent / value)


def _is_loopback(host: str) -> bool:
    """Tell an address that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _truth(value: Any) -> bool:
    """Read a switch as the settings do."""
    return value if isinstance(value, bool) else str(value).strip().lower() in {"1", "true", "yes", "on", "t", "y"}
