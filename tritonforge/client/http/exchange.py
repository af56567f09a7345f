"""What goes over HTTP and what it means, without I/O: shared by the transports that block and that don't."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterable
from datetime import timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from tritonforge.client.connections.sockets import tls_context
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.failures import (
    METRICS_PORT,
    OVER_TLS,
    WANTS_CERTIFICATE,
    from_connection,
    from_http_status,
    from_page,
    redirected,
    too_late,
)
from tritonforge.client.http.answer import Answer, Dropped, Garbled
from tritonforge.client.http.compression import Steps, packing, unpacking
from tritonforge.client.http.connection import route_to
from tritonforge.client.http.events import read_event
from tritonforge.client.http.message import read_response, usual_of, write_request
from tritonforge.client.http.questions import has_body, is_answer, model_path, request_line
from tritonforge.client.message import Buffer, Headers, Kind, Request, Response, joined
from tritonforge.client.metadata import require_description
from tritonforge.client.options import TLS, ConnectionOptions
from tritonforge.client.questions import READINESS, Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.unreadable import quoted, what_is_wrong
from tritonforge.client.url import Endpoint

__all__ = ["FAILURES", "HttpExchange"]

FAILURES = (OSError, Garbled, ValueError, LookupError, TypeError, AttributeError, RecursionError, zlib.error)
"""What a connection, and reading what came over it, can raise."""


_WHO = Question("server_metadata")
_MOST_KINDS = 1024
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_JOIN_BELOW = 1 << 14
_SPACE = 64  # within which a page begins
_NO_SUCH_PATH = "Not Found"
"""What Triton (24.10) says of a path that it hasn't; of a model, it says more."""


class HttpExchange:
    """How requests to one server are written, and its answers read."""

    failures = FAILURES

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions) -> None:
        """Raise ValueError where the TLS files can't be used."""
        self.url = str(endpoint)
        if options.tls is not None and not endpoint.secure:
            raise ValueError(f"{endpoint} is not over TLS, but TLS settings are given; use https:// or grpcs://")
        context = tls_context(options.tls or TLS()) if endpoint.secure else None
        self.route = route_to(endpoint, options, context)
        self._grpc_url = str(Endpoint("grpcs" if endpoint.secure else "grpc", endpoint.host, 8001))
        self._prefix = quote(endpoint.path, safe="/%")
        self._authority = endpoint.authority
        self._options = options
        self.compresses = bool(options.compression)
        """Whether requests are compressed: their body comes of `packing`, and they are what `write_packed` gives."""
        self._own = tuple(options.header_items())
        self._last = self._last_headers()
        self._headers = _lines(self._own) + self._last
        self._infer_line = lru_cache(maxsize=1024)(self._make_infer_line)
        self._keeps_heads = not options.compression
        self.heads: dict[Kind, tuple[bytes, ...]] = {}
        """What goes before each tensor of a request, by its kind: all before the first."""

    def write_infer(self, request: Request) -> list[Buffer]:
        """Give the parts of a request: a head with the JSON of it, and each tensor's bytes where they are."""
        tensors = [tensor.data for tensor in request.inputs]
        if request.kind is None or not (self._keeps_heads and tensors):
            return self._write_infer(request, tensors)
        heads = self.heads.get(request.kind)
        if heads is not None:
            parts = [heads[0], *tensors]
            return [b"".join(parts)] if request.kind.size < _JOIN_BELOW else parts
        parts = self._write_infer(request, tensors)
        if len(self.heads) >= _MOST_KINDS:
            self.heads.clear()
        self.heads[request.kind] = (bytes(parts[0]), *[b""] * (len(tensors) - 1))
        return parts

    def _write_infer(self, request: Request, tensors: list[Buffer]) -> list[Buffer]:
        header = write_request(request)
        size = len(header) + sum(map(len, tensors))
        more = b"%d\r\nInference-Header-Content-Length: %d\r\n\r\n%b"
        return [self._infer_head(request) + more % (size, len(header), header), *tensors]

    def packing(self, request: Request) -> tuple[int, Steps]:
        """Compress the body of a request; give the size of its JSON, too, as it is before."""
        header = write_request(request)
        return len(header), packing([header, *[tensor.data for tensor in request.inputs]], self._options.compression)

    def write_packed(self, request: Request, header_size: int, body: bytes) -> list[Buffer]:
        """Give the parts of a request whose body has been compressed."""
        more = b"%d\r\nContent-Encoding: %b\r\nInference-Header-Content-Length: %d\r\n\r\n"
        packed = more % (len(body), self._options.compression.encode(), header_size)
        return [self._infer_head(request) + packed, body]

    def unpacking(self, answer: Answer) -> Steps | None:
        """Give the body of an answer as it was before the server compressed it; None where it is that."""
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        return None if encoding in ("identity", "") else unpacking(answer.body, encoding)

    def read_infer(self, answer: Answer, request: Request) -> Response:
        """Read the answer to an inference. Raise the error that it tells of, or one of FAILURES where it is none."""
        if answer.status != 200:
            raise _refusal(answer, answer.body, self.target(request), of_inference=True)
        length = answer.headers.get("inference-header-content-length")
        if length is not None and not length.isdecimal():
            raise ValueError(f"its header Inference-Header-Content-Length is {length[:60]!r}")
        return read_response(answer.body, None if length is None else int(length), request.into)

    def usual_of(self, came: Answer) -> Usual | None:
        """Read what is to be the same in further answers; None where it isn't plain. Raise one of FAILURES."""
        body, size = came.body, came.headers.get("inference-header-content-length", "")
        if came.status != 200 or type(body) is not bytes or not size.isdecimal():
            return None
        return usual_of(body, int(size))

    def read_as(self, usual: Usual | None, came: Answer) -> Result | Answer:
        """Give the result of an answer like an earlier one; another as it came."""
        body = came.body
        if usual is None or came.status != 200 or type(body) is not bytes:
            return came
        size = came.headers.get("inference-header-content-length", "")
        result = usual.read(body) if size == usual.start else None
        if result is None:
            return came
        usual.frame = came.head if came.head and came.reusable else None
        return result

    def conclude(self, outcome: Answer | Exception, request: Request, deadline: Deadline) -> Response:
        """Read what came of an inference: an answer, or one of FAILURES. Raise the ClientError that it is."""
        if isinstance(outcome, Exception):
            raise self.failure(outcome, deadline, self.target(request)) from outcome
        try:
            return self.read_infer(outcome, request)
        except ClientError:
            raise
        except FAILURES as error:
            raise self.failure(error, deadline, self.target(request)) from error

    def write_question(self, question: Question) -> list[Buffer]:
        """Give the bytes that ask something."""
        method, path = request_line(question)
        body = json.dumps(dict(question.body)).encode() if question.body or has_body(question) else b""
        line = f"{method} {self._prefix}{path} HTTP/1.1\r\nHost: {self._authority}\r\n".encode("latin-1")
        headers = self._headers_with(question.headers) if question.headers else self._headers
        return [b"%b%b%d\r\n\r\n%b" % (line, headers, len(body), body)]

    def read_reply(self, answer: Answer, question: Question) -> Any:
        """Read the answer to a question. Raise the error that it tells of, or one of FAILURES where it is none."""
        target = Target(self.url, question.model, question.version)
        if question.subject in READINESS:
            if not question.model:
                _require_health(answer, target)
            return answer.status == 200
        body = answer.body
        if answer.status != 200:
            raise _refusal(answer, body, target)
        try:
            content = json.loads(bytes(body)) if body else None
        except (ValueError, RecursionError):
            content = None
        if not is_answer(question, content):
            words = f"the answer is not Triton's: {quoted(body)}"
            raise ServerUnavailable(METRICS_PORT if _may_be_metrics(answer) else words, target, foreign=True)
        require_description(question, content)
        return content

    def in_doubt(self, answer: Answer, question: Question) -> list[Buffer] | None:
        """Give the bytes that ask again, where a server says that it is ready as Triton's metrics port does to any GET.

        Other servers than Triton may say it so. Who they are is a question to which that port gives no answer.
        """
        if question.subject not in READINESS or not _may_be_metrics(answer):
            return None
        return self.write_question(_WHO._replace(headers=question.headers))

    def resolve(self, answer: Answer) -> None:
        """Raise ServerUnavailable where what asked again was answered as Triton's metrics port does."""
        if _may_be_metrics(answer):
            raise ServerUnavailable(METRICS_PORT, Target(self.url), foreign=True)

    def read_rest(self, answer: Answer, question: Question) -> bytes:
        """Give what is left of an answer that was read piece by piece. Raise the error that it tells of."""
        body = bytes(answer.body)
        if answer.status == 200:
            return body
        target = self.target(question)
        if body.startswith(b"data: "):  # an event: what the model says in place of its first response (24.10)
            read_event(body.removeprefix(b"data: "), target)
        raise _refusal(answer, body, target)

    def refuse_stream(self, request: Request) -> InvalidRequest:
        """Say where streams are to be had."""
        words = (
            f"Triton streams tensors over gRPC only; give the client the server's gRPC URL, such as {self._grpc_url}"
        )
        return InvalidRequest(words, self.target(request))

    def unwelcome(self, error: Dropped) -> Dropped:
        """Say what may be behind a connection that ended before its answer, where nothing has ever answered."""
        if self.route.answered:
            return error
        return Dropped(f"{error}; {OVER_TLS if self.route.context is None else WANTS_CERTIFICATE}")

    def closed(self) -> RuntimeError:
        """Say that the client is of no more use."""
        return RuntimeError(f"the client of {self.url} is closed")

    def failure(self, error: Exception, deadline: Deadline, target: Target) -> ClientError:
        """Make the error of what FAILURES are."""
        if isinstance(error, TimeoutError):
            return too_late(error, deadline, target)
        if isinstance(error, OSError):
            return from_connection(error, target)
        if isinstance(error, Garbled):
            return ServerUnavailable(str(error), target)
        return ServerUnavailable(f"the answer is not Triton's: {what_is_wrong(error)}", target, foreign=True)

    def target(self, request: Request | Question) -> Target:
        """Name whom a request speaks to."""
        request_id = request.id if isinstance(request, Request) else ""
        return Target(self.url, request.model, request.version, request_id)

    def _make_infer_line(self, model: str, version: str) -> bytes:
        return (
            f"POST {self._prefix}{model_path(model, version)}/infer HTTP/1.1\r\nHost: {self._authority}\r\n"
            "Content-Type: application/octet-stream\r\n"
        ).encode("latin-1")

    def _infer_head(self, request: Request) -> bytes:
        """Write the head of an inference up to the length of its body."""
        headers = self._headers_with(request.headers) if request.headers else self._headers
        return self._infer_line(request.model, request.version) + headers

    def _headers_with(self, headers: Headers) -> bytes:
        """Write the headers of a request of its own, and those of the options that it doesn't have itself."""
        return _lines(joined(headers, self._own)) + self._last

    def _last_headers(self) -> bytes:
        """Write what comes after the headers of the options, up to the value of the one that ends each head."""
        accepted = f"Accept-Encoding: {self._options.compression}\r\n" if self._options.compression else ""
        return f"{accepted}Content-Length: ".encode("latin-1")


def _lines(headers: Iterable[tuple[str, str]]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")


def _may_be_metrics(answer: Answer) -> bool:
    """Tell whether it is what the metrics port (24.10) gives for any other path; the HTTP port names no charset."""
    kind = answer.headers.get("content-type", "")
    return answer.status == 200 and not answer.body and kind == "text/plain; charset=utf-8"


def _require_health(answer: Answer, target: Target) -> None:
    """Raise ServerUnavailable where an answer about a server's health is a web server's page, or says that it has none.

    Triton's (24.10) has no body, and those of other servers of the protocol have some of their own.
    """
    if answer.status == 200 and not bytes(answer.body[:_SPACE]).lstrip().startswith(b"<"):
        return
    error = _error_of(answer.status, answer.body, target, of_inference=False)
    if isinstance(error, ServerUnavailable) and error.foreign:
        raise error


def _refusal(answer: Answer, body: Buffer, target: Target, *, of_inference: bool = False) -> ClientError:
    """Make the error that an answer tells of; `body` is its own, or as much of it as is to be read."""
    if 300 <= answer.status < 400 and (location := answer.headers.get("location")):
        return redirected(answer.status, location, target)
    error = _error_of(answer.status, body, target, of_inference=of_inference)
    if isinstance(error, ServerUnavailable) and "retry-after" in answer.headers:
        error.after_s = _after_s(answer.headers["retry-after"], answer.headers.get("date", ""))
    return error


def _after_s(said: str, now: str) -> float:
    """Read Retry-After: seconds, or a date (RFC 9110, 10.2.3), which is by the server's clock if it tells `now`."""
    if _SECONDS.fullmatch(said):
        return float(said)
    begin, end = _moment(now), _moment(said)
    return 0.0 if end is None else max(0.0, end - (time.time() if begin is None else begin))


def _moment(date: str) -> float | None:
    from email.utils import parsedate_to_datetime  # it takes as long to import as many a program runs

    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()


def _error_of(status: int, body: Buffer, target: Target, *, of_inference: bool) -> ClientError:
    """Make the error by Triton's words, or by whatever came."""
    text = bytes(body).decode("utf-8", "replace").strip()
    try:
        said = json.loads(text)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return from_page(status, text, target)
    words = "" if said is None else str(said)
    if status == 404 and words == _NO_SUCH_PATH and not of_inference:  # where a model may say so itself
        return from_page(status, words, target)
    return from_http_status(status, words, target)
