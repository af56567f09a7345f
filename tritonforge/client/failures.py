"""Which error an answer of the server's is, by the status that HTTP or gRPC gives it."""

from __future__ import annotations

import re

from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    ServerUnavailable,
    Target,
)

__all__ = ["IS_IT_UP", "from_grpc_code", "from_http_status", "inference_failed", "with_hint"]

IS_IT_UP = "is the server up? tritonforge up"

_BY_HTTP_STATUS: dict[int, type[ClientError]] = {
    404: ModelNotFound,
    408: ServerUnavailable,
    429: ServerUnavailable,
    500: InferenceFailed,
    501: InvalidRequest,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}

_BY_GRPC_CODE: dict[str, type[ClientError]] = {
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "FAILED_PRECONDITION": InvalidRequest,
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": ModelNotFound,
    "OUT_OF_RANGE": InvalidRequest,
    "PERMISSION_DENIED": InvalidRequest,
    "RESOURCE_EXHAUSTED": ServerUnavailable,
    "UNAUTHENTICATED": InvalidRequest,
    "UNAVAILABLE": ServerUnavailable,
    "UNIMPLEMENTED": InvalidRequest,
}

_HINTS = (
    (re.compile(r"[Cc]onnection refused"), IS_IT_UP),
    (
        re.compile(
            r"Hostname mismatch|IP address mismatch|[Pp]eer name .* is not in peer certificate|[Hh]ostname Verif"
        ),
        "the server's certificate is for another name: use that in the URL, or give TLS(server_name=…)",
    ),
    (
        re.compile(r"CERTIFICATE_VERIFY_FAILED"),
        "the server's certificate is by none that this client trusts: name its authority's file, TLS(ca=…)",
    ),
    # What grpc 1.x says of a connection that the other side ends at once, as Triton's HTTP port does.
    (
        re.compile(r"failed to connect to all addresses.*Socket closed"),
        "what answers there speaks no gRPC: is it the server's HTTP port? then use http://…, or the gRPC port",
    ),
    (
        re.compile(r"Stub process '.*' is not healthy"),
        "the model's process has died, and Triton doesn't start it again: see the server's log, and restart the server",
    ),
)


_NEVER_SENT = re.compile(r"failed to connect to all addresses|[Cc]onnection refused|(DNS|Name) resolution failed")
"""What grpc 1.x says where it had no connection to send anything over."""

_BROKEN = re.compile(r"^(Stream removed|Received RST_STREAM|Failed parsing HTTP/2)")
"""What grpc 1.x says, as UNKNOWN or INTERNAL, of bytes that are no HTTP/2."""

# A Python model's instances are named after it, with a number.
_STEP = re.compile(r"^in ensemble '.*?', Failed to process the request\(s\) for model '(.+?)_\d+', message: ")


def from_http_status(status: int, words: str, target: Target) -> ClientError:
    """Make the error of an HTTP status that isn't a success; `words` are the server's."""
    if status < 400:
        return ServerUnavailable(f"not a Triton server: it answered HTTP {status} {words}".rstrip(), target)
    kind = _BY_HTTP_STATUS.get(status, InvalidRequest if status < 500 else InferenceFailed)
    return _refined(kind, words or f"HTTP {status}", target)


def from_grpc_code(code: str, words: str, target: Target) -> ClientError:
    """Make the error of a gRPC status code, by its name; `words` are the server's, or grpc's own."""
    kind = _BY_GRPC_CODE.get(code, InferenceFailed)
    return _refined(ServerUnavailable if _BROKEN.search(words) else kind, words or code, target)


def inference_failed(words: str, target: Target) -> InferenceFailed:
    """Make the error of a model that took a request and failed, with the ensemble's step where the words name it."""
    step = _STEP.match(words)
    return InferenceFailed(with_hint(words), target, step=step[1] if step else "")


def with_hint(words: str) -> str:
    """Add to words of the server's, or of grpc's, what they don't say: what to do."""
    hint = next((hint for pattern, hint in _HINTS if pattern.search(words)), "")
    return f"{words}; {hint}" if hint else words


def _refined(kind: type[ClientError], words: str, target: Target) -> ClientError:
    if kind is ModelNotFound and not target.model:
        return ServerUnavailable(f"not a Triton server, or one without this endpoint: {words}", target)
    # Triton 24.10 says "not found" of a model that failed to load, too; only its words tell the two apart.
    if kind is ModelNotFound and "no available versions" in words:
        return ModelNotReady(words, target)
    if kind is ServerUnavailable and "protocol is restricted" in words:  # gRPC's word for it is UNAVAILABLE (24.10)
        return InvalidRequest(words, target)
    if kind is ServerUnavailable:
        return ServerUnavailable(with_hint(words), target, sent=not _NEVER_SENT.search(words))
    if kind is InferenceFailed:
        return inference_failed(words, target)
    return kind(with_hint(words), target)
