"""The HTTP transport: Triton's REST paths over a pool of kept-alive connections of our own."""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, DeadlineExceeded, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.failures import IS_IT_UP, from_http_status
from tritonforge.client.http_connection import Answer, Connection, Dropped, Garbled
from tritonforge.client.http_message import read_response, write_request
from tritonforge.client.http_pool import Pool
from tritonforge.client.message import Buffer, Request, Response
from tritonforge.client.transport import Json
from tritonforge.client.url import Endpoint

__all__ = ["HttpTransport"]

T = TypeVar("T")

_FAILURES = (OSError, Garbled, ValueError, LookupError, TypeError, AttributeError)
"""What a connection, and reading what came over it, can raise."""


class HttpTransport:
    """One server's HTTP endpoint, usable from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.url = str(endpoint)
        self._grpc_authority = Endpoint("grpc", endpoint.host, 8001).authority
        self._pool = Pool(endpoint.host, endpoint.port)
        self._prefix = quote(endpoint.path, safe="/%")
        self._host = f" HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
        self._infer_head = lru_cache(maxsize=1024)(self._make_infer_head)

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        header = write_request(request)
        header_size = len(header)
        size = header_size + sum([len(tensor.data) for tensor in request.inputs])
        head = b"%b%d\r\nInference-Header-Content-Length: %d\r\n\r\n" % (
            self._infer_head(request.model, request.version),
            size,
            header_size,
        )
        parts = [head + header, *[tensor.data for tensor in request.inputs]]
        try:
            answer = self._exchange(parts, deadline)
            if answer.status == 200:
                length = answer.headers.get("inference-header-content-length")
                return read_response(answer.body, None if length is None else int(length))
        except _FAILURES as error:
            raise _failure(error, deadline, self._target(request)) from error
        raise from_http_status(answer.status, _words(answer), self._target(request))

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Refuse: Triton streams tensors over gRPC only."""
        example = f"grpc://{self._grpc_authority}"
        reason = f"Triton streams tensors over gRPC only; give the client the server's gRPC URL, such as {example}"
        raise InvalidRequest(reason, self._target(request))

    def server_ready(self, deadline: Deadline) -> bool:
        """Tell whether the server says that it is ready."""
        return self._ask("GET", "/v2/health/ready", deadline, Target(self.url)).status == 200

    def model_ready(self, model: str, version: str, deadline: Deadline) -> bool:
        """Tell whether the model is loaded."""
        target = Target(self.url, model, version)
        return self._ask("GET", f"{_path(model, version)}/ready", deadline, target).status == 200

    def server_metadata(self, deadline: Deadline) -> Json:
        """Fetch the server's name, version and extensions."""
        return self._fetch("GET", "/v2", dict, deadline, Target(self.url))

    def model_metadata(self, model: str, version: str, deadline: Deadline) -> Json:
        """Fetch a model's versions, inputs and outputs."""
        return self._fetch("GET", _path(model, version), dict, deadline, Target(self.url, model, version))

    def model_config(self, model: str, version: str, deadline: Deadline) -> Json:
        """Fetch a model's configuration, as completed by the server."""
        target = Target(self.url, model, version)
        return self._fetch("GET", f"{_path(model, version)}/config", dict, deadline, target)

    def index(self, deadline: Deadline) -> list[Json]:
        """Fetch the models of the repository and their states."""
        return self._fetch("POST", "/v2/repository/index", list, deadline, Target(self.url))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _make_infer_head(self, model: str, version: str) -> bytes:
        return (
            f"POST {self._prefix}{_path(model, version)}/infer{self._host}"
            "Content-Type: application/octet-stream\r\nContent-Length: "
        ).encode("latin-1")

    def _fetch(self, method: str, path: str, kind: type[T], deadline: Deadline, target: Target) -> T:
        answer = self._ask(method, path, deadline, target)
        if answer.status != 200:
            raise from_http_status(answer.status, _words(answer), target)
        try:
            content = json.loads(bytes(answer.body))
        except ValueError:
            content = None
        if not isinstance(content, kind):
            raise ServerUnavailable(f"the answer is not Triton's: {bytes(answer.body[:200])!r}", target)
        return content

    def _ask(self, method: str, path: str, deadline: Deadline, target: Target) -> Answer:
        head = f"{method} {self._prefix}{path}{self._host}Content-Length: 0\r\n\r\n".encode("latin-1")
        try:
            return self._exchange([head], deadline)
        except _FAILURES as error:
            raise _failure(error, deadline, target) from error

    def _target(self, request: Request) -> Target:
        return Target(self.url, request.model, request.version, request.id)

    def _exchange(self, parts: list[Buffer], deadline: Deadline) -> Answer:
        if self._pool.closed:
            raise RuntimeError(f"the client of {self.url} is closed")
        connection = self._pool.idle()
        if connection is not None:
            try:
                return self._exchange_on(connection, parts, deadline)
            except Dropped:  # the server closed it while it was idle
                pass
        return self._exchange_on(self._pool.fresh(deadline), parts, deadline)

    def _exchange_on(self, connection: Connection, parts: list[Buffer], deadline: Deadline) -> Answer:
        try:
            answer = connection.exchange(parts, deadline)
        except BaseException:
            connection.close()
            raise
        if answer.reusable:
            self._pool.give_back(connection)
        else:
            connection.close()
        return answer


def _failure(error: Exception, deadline: Deadline, target: Target) -> ClientError:
    if isinstance(error, TimeoutError):
        return DeadlineExceeded(f"no answer within {deadline.timeout_s:g} s", target)
    if isinstance(error, ConnectionRefusedError):
        return ServerUnavailable(f"Connection refused; {IS_IT_UP}", target)
    if isinstance(error, OSError):
        return ServerUnavailable(error.strerror or str(error), target)
    if isinstance(error, Garbled):
        return ServerUnavailable(str(error), target)
    return ServerUnavailable(f"the answer is not Triton's: {error!r}", target)


def _path(model: str, version: str) -> str:
    versioned = f"/versions/{quote(version, safe='')}" if version else ""
    return f"/v2/models/{quote(model, safe='')}{versioned}"


def _words(answer: Answer) -> str:
    """Find what the server said of an error: Triton's own words, or the start of whatever came."""
    text = bytes(answer.body).decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, LookupError, TypeError):
        return text[:500]
