"""Which error an answer of the server's is, by the status that HTTP or gRPC gives it."""

from __future__ import annotations

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

__all__ = ["from_grpc_code", "from_http_status"]

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


def from_http_status(status: int, words: str, target: Target) -> ClientError:
    """Make the error of an HTTP status that isn't a success; `words` are the server's."""
    if status < 400:
        return ServerUnavailable(f"not a Triton server: it answered HTTP {status} {words}".rstrip(), target)
    kind = _BY_HTTP_STATUS.get(status, InvalidRequest if status < 500 else InferenceFailed)
    return _refined(kind, words or f"HTTP {status}", target)


def from_grpc_code(code: str, words: str, target: Target) -> ClientError:
    """Make the error of a gRPC status code, by its name; `words` are the server's, or grpc's own."""
    return _refined(_BY_GRPC_CODE.get(code, InferenceFailed), words or code, target)


def _refined(kind: type[ClientError], words: str, target: Target) -> ClientError:
    if kind is ModelNotFound and not target.model:
        return ServerUnavailable(f"not a Triton server, or one without this endpoint: {words}", target)
    # Triton 24.10 says "not found" of a model that failed to load, too; only its words tell the two apart.
    if kind is ModelNotFound and "no available versions" in words:
        return ModelNotReady(words, target)
    return kind(words, target)
