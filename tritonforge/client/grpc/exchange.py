"""What goes over gRPC and what it means, without I/O: shared by the transports that block and that don't."""

from __future__ import annotations

import random
import time
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as pb

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, DeadlineExceeded, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.failures import REFUSED, from_connection, from_grpc_code, is_garbled, stream_failed, too_late
from tritonforge.client.grpc.credentials import credentials_of
from tritonforge.client.grpc.frames import LARGEST_MESSAGE
from tritonforge.client.grpc.message import from_message
from tritonforge.client.grpc.unary import CallFailed, takes
from tritonforge.client.grpc.wire import heads_of, parse_response, serialize_request, usual_of, write_request
from tritonforge.client.http.answer import Garbled
from tritonforge.client.message import Buffer, Headers, Kind, Request, Response, joined
from tritonforge.client.options import ConnectionOptions, require_metadata
from tritonforge.client.questions import Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.unreadable import what_is_wrong
from tritonforge.client.url import Endpoint

__all__ = ["FAILURES", "INFER", "LARGE", "SETTLED", "STREAM", "GrpcExchange", "path"]

FAILURES = (grpc.RpcError, OSError, CallFailed, Garbled, ValueError, DecodeError)
"""What a call, and reading what it gave, can raise."""

SETTLED = (
    grpc.ChannelConnectivity.READY,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
    grpc.ChannelConnectivity.SHUTDOWN,
)
"""The states of a channel in which it neither connects nor waits to."""

LARGE = 1 << 16
"""Bytes of a message whose call over grpcio (1.85) is given up from outside: its own limit on the time waits for the
message to be sent, however long the server takes nothing."""

_CONNECT_MS = 10_000
"""By default 20,000."""

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A server that has come back is seen at once; by default grpc waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Despite its name (1.85): for how long a connection is waited for, by a channel that was closed meanwhile, too.
    ("grpc.min_reconnect_backoff_ms", _CONNECT_MS),
    # Clients don't share a connection, nor its back-off; and a proxy of the environment is not for this server.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # When to try again is decided above: grpc's own retries don't know of sequences.
    ("grpc.enable_retries", 0),
)

_MOST_KINDS = 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.004, 0.2
_MOST_REFUSALS = 5  # with these pauses some 0.1 s, unless the server takes other calls meanwhile
_MOMENT_S = 0.1  # by which a timer of grpc's may ring too early, or a server's before ours

_COMPRESSION = {
    "": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def path(procedure: str) -> str:
    """Give the path of a procedure of Triton's service."""
    return f"/inference.GRPCInferenceService/{procedure}"


INFER = path("ModelInfer")
STREAM = path("ModelStreamInfer")


class GrpcExchange:
    """How requests to one server are written, and its answers read."""

    failures = FAILURES

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions) -> None:
        """Raise ValueError for TLS settings without TLS, or files of no use; OSError for files that can't be read."""
        self.url = str(endpoint)
        self.authority = endpoint.authority
        self.compression = _COMPRESSION[options.compression]
        self.credentials = credentials_of(endpoint, options.tls)
        self.options = (*_OPTIONS, *_more_options(options))
        self.taken_at = 0.0
        """When an answer last came to a call that the server may refuse, on the monotonic clock."""
        require_metadata(options.headers)
        self._metadata = tuple([(name.lower(), value) for name, value in options.header_items()]) or None
        self.unary = takes(options)
        """Whether small calls go over connections of our own."""
        self.heads: dict[Kind, tuple[bytes, ...]] = {}
        """What goes before each tensor of a message, by its kind; of messages that our own connections take."""

    def metadata(self, more: Headers = ()) -> Headers | None:
        """Give the headers of the next request: `more` of its own, which count where the options have a name too."""
        return joined(more, self._metadata or ()) if more else self._metadata

    def write_infer(self, request: Request) -> list[Buffer]:
        """Give the parts of a ModelInferRequest, each tensor's bytes where they are."""
        parts = write_request(request)
        if request.kind is not None and request.kind not in self.heads:
            self._keep_heads(request, request.kind, sum(map(len, parts)))
        return parts

    def read_infer(self, data: bytes | memoryview) -> Response:
        """Read a ModelInferResponse. Raise one of FAILURES where it is none."""
        return parse_response(data)

    def usual_of(self, came: bytes | memoryview | None) -> Usual | None:
        """Read what is to be the same in further answers; None where it isn't plain. Raise one of FAILURES."""
        return usual_of(came) if type(came) is bytes else None

    def read_as(self, usual: Usual | None, came: bytes | memoryview | None) -> bytes | memoryview | Result | None:
        """Give the result of an answer like an earlier one; another as it came."""
        result = usual.read(came) if usual is not None and type(came) is bytes else None
        return came if result is None else result

    def write_stream(self, request: Request) -> bytes:
        """Write the request of a stream, to be ended by an empty response."""
        return serialize_request(
            request._replace(parameters={**request.parameters, "triton_enable_empty_final_response": True}, kind=None)
        )

    def read_stream(self, data: bytes, target: Target) -> tuple[Response | ClientError | None, bool]:
        """Read a response of a stream, or the error that it tells of, None where it only ends it; and whether it is
        the last, as an error is that doesn't say. Raise one of FAILURES where it is none.
        """
        answer = pb.ModelStreamInferResponse.FromString(data)
        response, words = from_message(answer.infer_response), answer.error_message
        final = bool(response.parameters.get("triton_final_response", words))
        if words:
            return stream_failed(words, target), final
        return (response if response.outputs or not final else None), final

    def pause_after(self, error: grpc.RpcError, limit: Deadline, tries: int) -> float:
        """Give the seconds to wait before a call is made again that the server has refused. Raise any other error.

        A server may refuse what is past its limit of calls at a time, and then has done nothing with it: RFC 9113, 8.7.
        grpcio (1.85) keeps to the limit, but its servers count a call that is over for a little longer than clients do.
        One that takes no other call either is not asked for long.
        """
        pause_s = random.random() * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(tries, 30))
        now = time.monotonic()
        in_vain = tries >= _MOST_REFUSALS and now - self.taken_at > _MOMENT_S
        if in_vain or limit.at - now < pause_s or not REFUSED.search(error.details() or ""):
            raise error
        return pause_s

    def refuse_events(self, question: Question) -> InvalidRequest:
        """Say where the generate extension is to be had."""
        words = f"Triton has {question.subject} over HTTP only; give the client the server's HTTP URL, or use stream()"
        return InvalidRequest(words, self.target(question))

    def spoiled(self, error: Any) -> bool:
        """Tell whether it is of a connection that grpcio (1.85) keeps using, though it can't read it any more."""
        return isinstance(error, grpc.RpcError) and is_garbled(*_status(error))

    def closed(self) -> RuntimeError:
        """Say that the client is of no more use."""
        return RuntimeError(f"the client of {self.url} is closed")

    def failure(self, error: Any, deadline: Deadline, target: Target) -> ClientError:
        """Make the error of what FAILURES are; what grpc raises is an RpcError with a code and details."""
        if isinstance(error, (ValueError, DecodeError)):
            return ServerUnavailable(f"the answer is not Triton's: {what_is_wrong(error)}", target, foreign=True)
        if isinstance(error, Garbled):
            return _coded(ServerUnavailable(str(error), target))
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return _coded(from_connection(error, target))
        code, words = _status(error)
        if isinstance(error, grpc.RpcError):
            error.__traceback__ = None  # it holds grpcio's call (1.85), with which a closed channel goes on connecting
        if code == "DEADLINE_EXCEEDED":
            if isinstance(error, TimeoutError):
                return too_late(error, deadline, target)
            if not _of_server(words, deadline):
                return DeadlineExceeded(f"no answer within {deadline.given}", target)
            words = f"the server gave the call up as too late: {words or code}"
        return from_grpc_code(code, words, target, answered=isinstance(error, CallFailed))

    def target(self, request: Request | Question) -> Target:
        """Name whom a request speaks to."""
        request_id = request.id if isinstance(request, Request) else ""
        return Target(self.url, request.model, request.version, request_id)

    def _keep_heads(self, request: Request, kind: Kind, size: int) -> None:
        if self.unary and request.inputs and not request.outputs and size <= LARGEST_MESSAGE:
            if len(self.heads) >= _MOST_KINDS:
                self.heads.clear()
            self.heads[kind] = heads_of(request)


def _of_server(words: str, deadline: Deadline) -> bool:
    """Tell whether it is the server that says DEADLINE_EXCEEDED, before the time of the call is up."""
    of_grpc = not words or "Deadline Exceeded" in words  # with more around it, at times (1.85)
    return not of_grpc or deadline.at - time.monotonic() > _MOMENT_S


def _coded(error: ServerUnavailable) -> ServerUnavailable:
    """Give it the code that gRPC's clients have for it, as grpcio does."""
    error.code = "UNAVAILABLE"
    return error


def _status(error: Any) -> tuple[str, str]:
    """Give the name of gRPC's status code, and the words with it."""
    if isinstance(error, TimeoutError):
        return "DEADLINE_EXCEEDED", ""
    return (error.code, error.words) if isinstance(error, CallFailed) else (error.code().name, error.details() or "")


def _more_options(options: ConnectionOptions) -> list[tuple[str, Any]]:
    more: list[tuple[str, Any]] = []
    if options.keepalive_s:
        patience_ms = min(20_000, int(options.keepalive_s * 1000))
        more += [
            ("grpc.keepalive_time_ms", int(options.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", patience_ms),
            # grpc (1.85) pings to measure the line, too, and sends no second one before that is answered: within 60 s.
            ("grpc.http2.ping_timeout_ms", patience_ms),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    if options.tls and options.tls.server_name:
        more.append(("grpc.ssl_target_name_override", options.tls.server_name))
    return more
