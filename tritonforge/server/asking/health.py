"""What a server says of itself over HTTP: whether it is ready, and the state of each model."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tritonforge.server.errors import ServerError

__all__ = ["KEY_HINT", "Health", "ModelState", "quoted", "refusal", "said"]

_TIMEOUT_S = 5.0

KEY_HINT = (
    "give key=, or --key-file: a server of `tritonforge up` has it in its folder (tritonforge/servers/NAME/key), one "
    "of Server.embedded in its settings.restricted_key"
)

_PLAIN = "!$&'()*+,;=:@%"


@dataclass(frozen=True, slots=True)
class ModelState:
    """One version of a model in the server's index: `state` is READY, UNAVAILABLE, …; `reason` says why it isn't READY.

    A model that never came to a load, its configuration being wrong, has neither version nor state.
    """

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


class Health:
    """Asks a server at a host and HTTP port; `headers` go with every request, such as the key of restricted APIs.

    `grpc_address` is its `host:port` for what is better asked over gRPC; empty where that isn't known, or wants TLS.
    """

    def __init__(
        self, host: str, port: int, headers: Mapping[str, str] | None = None, *, grpc_address: str = ""
    ) -> None:
        self._host = host
        self._port = port
        self.headers = dict(headers or {})
        self.grpc_address = grpc_address

    def status(self) -> int | None:
        """Give the status of `/v2/health/ready`, 200 if all is well; None where nobody answers."""
        try:
            return self._send("GET", "/v2/health/ready", timeout_s=_TIMEOUT_S)[0]
        except (OSError, http.client.HTTPException):
            return None

    def models(self) -> list[ModelState]:
        """List the models that the server knows, by name and version.

        Raises:
            ServerError: the server doesn't answer, or refuses to tell.
        """
        status, body = self.request("POST", "/v2/repository/index")
        if status != http.client.OK:
            raise refusal(f"the server at {self._host}:{self._port} doesn't list its models", status, body)
        entries: list[dict[str, Any]] = json.loads(body)
        fields = ("name", "version", "state", "reason")
        states = [ModelState(*(str(entry.get(field, "")) for field in fields)) for entry in entries]
        return sorted(states, key=lambda model: (model.name, len(model.version), model.version))

    def metadata(self, model: str, version: str) -> dict[str, Any]:
        """Give what the server says of one version of a model: `platform`, `inputs`, `outputs`; nothing if it won't."""
        path = f"/v2/models/{quoted(model)}/versions/{version}"
        try:
            status, body = self.request("GET", path)
        except ServerError:
            return {}
        found: dict[str, Any] = json.loads(body) if status == http.client.OK else {}
        return found

    def request(
        self, method: str, path: str, body: bytes | None = None, *, timeout_s: float = _TIMEOUT_S
    ) -> tuple[int, bytes]:
        """Make one request; give the answer's status and body.

        Raises:
            ServerError: the server doesn't answer.
        """
        try:
            return self._send(method, path, body, timeout_s=timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"the server at {self._host}:{self._port} doesn't answer: {error}") from error

    def _send(self, method: str, path: str, body: bytes | None = None, *, timeout_s: float) -> tuple[int, bytes]:
        """Make one request, on a connection of its own."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            connection.request(method, path, body, self.headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def refusal(what: str, status: int, body: bytes) -> ServerError:
    """Say what an answer refuses, with its words, and where it wants a key, how to give one."""
    wants_key = status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN)
    return ServerError(f"{what}: {status} {said(body)}" + (f"\n  hint: {KEY_HINT}" if wants_key else ""))


def said(body: bytes) -> str:
    """Read Triton's reason off an answer."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return body.decode(errors="replace").strip()


def quoted(model: str) -> str:
    """Spell a model's name in a path: Triton takes it as it came, so only what no path can hold is quoted (24.10)."""
    return quote(model, safe=_PLAIN)
