"""What is asked of the server around the load: models, statistics, shared memory. Over HTTP or gRPC, given alike."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Protocol, cast

from tritonforge.load.address import Address, model_path
from tritonforge.load.errors import LoadFailed, ServerGone
from tritonforge.load.observed.statistics import WITHOUT
from tritonforge.load.trust import TlsFiles, distrust

__all__ = ["Control", "check_listening", "connect"]

Json = dict[str, Any]
_TIMEOUT_S = 30.0
_LISTENING_S = 2.0
_CLOSED_S = 0.2


class Control(Protocol):
    """Questions to a server; each raises LoadFailed with the server's words."""

    def metadata(self, model: str, version: str) -> Json:
        """Ask for a model's inputs and outputs."""

    def config(self, model: str, version: str) -> Json:
        """Ask for a model's configuration; empty where the server has none to tell."""

    def statistics(self) -> Json:
        """Ask for the statistics of all models, in one answer."""

    def server(self) -> Json:
        """Ask for the server's name and version."""

    def register(self, region: str, key: str, size: int) -> None:
        """Register a region of system shared memory."""

    def unregister(self, region: str) -> None:
        """Take a region back."""

    def regions(self) -> list[str]:
        """Ask for the names of the regions of system shared memory."""

    def close(self) -> None:
        """Close the connection."""


def connect(address: Address, headers: Mapping[str, str], tls: TlsFiles) -> Control:
    """Connect to a server in its protocol."""
    if address.grpc:
        from tritonforge.load.observed.grpc_control import GrpcControl

        return cast(Control, GrpcControl(address, headers, tls))
    return _HttpControl(address, headers, tls)


def check_listening(address: Address, *, closing: bool = True) -> None:
    """Raise ServerGone where nobody listens any more; a server that is too busy to say is not gone.

    With `closing`, also where a new connection is closed at once: Triton's HTTP server does so while it stops, for up
    to its exit timeout (seen in 24.10).
    """
    try:
        with socket.create_connection((address.host, address.port), _LISTENING_S) as connection:
            connection.settimeout(_CLOSED_S)
            if closing and not connection.recv(1):
                raise ConnectionAbortedError("it closes new connections")
    except TimeoutError:
        return
    except OSError as error:
        raise ServerGone(f"{address}: the server went away: {error}") from error


class _TlsConnection(http.client.HTTPConnection):
    """HTTPS to a server whose certificate may have another name than the address; http.client knows one name alone."""

    default_port = http.client.HTTPS_PORT

    def __init__(self, address: Address, tls: TlsFiles) -> None:
        super().__init__(address.host, address.port, timeout=_TIMEOUT_S)
        self._tls, self._name = tls.context(), tls.server_name or address.host

    def connect(self) -> None:
        """Connect, and shake hands."""
        super().connect()
        self.sock: socket.socket = self._tls.wrap_socket(self.sock, server_hostname=self._name)


class _HttpControl:
    def __init__(self, address: Address, headers: Mapping[str, str], tls: TlsFiles) -> None:
        self._connection = (
            _TlsConnection(address, tls)
            if address.tls
            else http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)
        )
        self._address, self._headers, self._tls = address, dict(headers), tls

    def metadata(self, model: str, version: str) -> Json:
        path = model_path(model, version)
        answer = self._ask("GET", path)
        if not isinstance(answer, dict) or "name" not in answer:
            raise LoadFailed(
                f"{self._address}{path}: the answer names no model; is this the HTTP port of a Triton server?"
            )
        return answer

    def config(self, model: str, version: str) -> Json:
        try:
            return self._ask("GET", f"{model_path(model, version)}/config")
        except LoadFailed as error:
            if isinstance(error.__cause__, OSError):
                raise
            return {}

    def statistics(self) -> Json:
        try:
            answer: Any = self._ask("GET", "/v2/models/stats")
        except LoadFailed as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            answer = None
        if not isinstance(answer, dict):
            raise LoadFailed(f"{self._address}: its statistics are no JSON object; {WITHOUT}")
        return cast(Json, answer)

    def server(self) -> Json:
        return self._ask("GET", "/v2")

    def register(self, region: str, key: str, size: int) -> None:
        body = {"key": key, "offset": 0, "byte_size": size}
        self._ask("POST", f"/v2/systemsharedmemory/region/{region}/register", body)

    def unregister(self, region: str) -> None:
        self._ask("POST", f"/v2/systemsharedmemory/region/{region}/unregister")

    def regions(self) -> list[str]:
        answer: Any = self._ask("GET", "/v2/systemsharedmemory/status")
        entries = answer if isinstance(answer, list) else ()
        return [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        for attempt in (0, 1):
            try:
                data = None if body is None else json.dumps(body)
                self._connection.request(method, self._address.path + path, data, self._headers)
                answer = self._connection.getresponse()
                text = answer.read()
                break
            except TimeoutError as error:
                self._connection.close()
                raise LoadFailed(f"{self._address}{path}: no answer within {_TIMEOUT_S:g} s") from error
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if attempt:  # an idle connection may have been closed: once anew
                    hint = "is a server listening there?" if isinstance(error, OSError) else "is this its HTTP port?"
                    lacking = self._tls.lacking(str(error)) if self._address.tls else ""
                    hint = distrust(str(error)) or lacking or hint
                    words = error if isinstance(error, OSError) else repr(error)
                    raise LoadFailed(f"{self._address}: {words}; {hint}") from error
        if answer.status != 200:
            raise LoadFailed(f"{self._address}{path}: HTTP {answer.status}: {text[:500].decode('utf-8', 'replace')}")
        try:
            return cast(Json, json.loads(text or b"{}"))
        except ValueError as error:
            raise LoadFailed(f"{self._address}{path}: not JSON: {text[:80]!r}; is it a Triton server?") from error
