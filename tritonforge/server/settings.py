"""How a server is to run: ports, timeouts and flags, from arguments and from TRITONFORGE_* variables."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from typing_extensions import Self

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.errors import SettingsError

__all__ = ["PORTS", "ServerSettings"]

Port = Annotated[int, Field(ge=0, le=65535)]

PORTS = ("http_port", "grpc_port", "metrics_port")
"""The fields that are ports."""

_PREFIX = "TRITONFORGE_"

_OURS = {
    "--backend-directory": "",
    "--cache-directory": "",
    "--exit-on-error": "",
    "--exit-timeout-secs": "exit_timeout_s",
    "--grpc-address": "host",
    "--grpc-port": "grpc_port",
    "--http-address": "host",
    "--http-port": "http_port",
    "--log-file": "",
    "--log-verbose": "log_verbose",
    "--metrics-address": "host",
    "--metrics-port": "metrics_port",
    "--model-repository": "",
    "--model-store": "",
}
"""Flags of tritonserver that tritonforge gives itself, and the setting to use instead."""


class ServerSettings(BaseModel):
    """How to run a server. A port of 0 takes a free one; times are in seconds; `extra_args` go to tritonserver.

    `host` is the address to listen on: 127.0.0.1 is reached from this machine only, 0.0.0.0 from everywhere.
    `exit_timeout_s` is how long requests under way have, once the server is told to stop; 0 kills it at once.
    The server runs in a temporary folder: a path in `extra_args` is to be absolute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    http_port: Port = 8000
    grpc_port: Port = 8001
    metrics_port: Port = 8002
    host: str = Field(default="127.0.0.1", min_length=1)
    ready_timeout_s: float = Field(default=120.0, gt=0)
    exit_timeout_s: float = Field(default=10.0, ge=0)
    log_verbose: int = Field(default=0, ge=0)
    extra_args: tuple[str, ...] = ()

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        **explicit: Any,
    ) -> Self:
        """Read TRITONFORGE_HTTP_PORT and the like; an explicit argument that is not None wins, `defaults` lose.

        Raises:
            SettingsError: values that can't be, each named by the variable or the argument it came from.
        """
        variables = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        names: dict[str, str] = {}
        for field in cls.model_fields:
            variable = _PREFIX + field.upper()
            text = variables.get(variable, "").strip()
            if text:
                names[field] = variable
                values[field] = shlex.split(text) if field == "extra_args" else text
        given = {field: value for field, value in explicit.items() if value is not None}
        try:
            return cls(**(dict(defaults or {}) | values | given))
        except ValidationError as error:
            named = {field: name for field, name in names.items() if field not in given}
            raise SettingsError(_explain(error, named)) from None

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
        """Refuse flags that tritonforge gives itself."""
        for argument in extra_args:
            flag = argument.partition("=")[0]
            if flag in _OURS:
                instead = f"; use {_OURS[flag]}" if _OURS[flag] else ""
                raise ValueError(f"tritonforge gives {flag} itself{instead}")
        return extra_args

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse one port for two services."""
        fixed = [getattr(self, name) for name in PORTS if getattr(self, name)]
        if len(set(fixed)) < len(fixed):
            raise ValueError(f"http_port, grpc_port and metrics_port must differ, found {', '.join(map(str, fixed))}")
        return self


def _explain(error: ValidationError, variables: Mapping[str, str]) -> list[Diagnostic]:
    """Say each of pydantic's complaints in one line, under the variable or argument that gave the value."""
    diagnostics = []
    for problem in error.errors():
        field = str(problem["loc"][0]) if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        if field and problem["type"] != "value_error":
            text = f"found {problem['input']!r}: {text}"
        hint = ""
        if problem["type"] == "extra_forbidden":
            hint = f"the settings are {', '.join(ServerSettings.model_fields)}"
        diagnostics.append(Diagnostic("TF501", Where(subject=variables.get(field, field) or "server"), text, hint))
    return diagnostics
