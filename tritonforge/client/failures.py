"""Which error an answer of the server's is, by the status that HTTP or gRPC gives it."""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

from tritonforge.client.deadline import Deadline
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
from tritonforge.client.http.answer import NeverSent, Unreached, Unsent

__all__ = [
    "IS_IT_UP",
    "METRICS_PORT",
    "OF_CREDENTIALS",
    "OVER_TLS",
    "REFUSED",
    "WANTS_CERTIFICATE",
    "from_connection",
    "from_grpc_code",
    "from_http_status",
    "from_page",
    "inference_failed",
    "is_garbled",
    "is_restricted",
    "lacks_endpoint",
    "redirected",
    "stream_failed",
    "too_late",
    "with_hint",
]

METRICS_PORT = "this is Triton's metrics port; use its HTTP port (8000 by default)"
IS_IT_UP = "is the server up? tritonforge up"

REFUSED = re.compile(r"Received RST_STREAM with error code 7\b")
"""What grpc 1.x says of a call that the server has refused, and done nothing with: RFC 9113, 8.7."""

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

_NO_SUCH_METHOD = re.compile(
    r""  # C++, as Triton's own of a procedure that it hasn't; Rust
    r"|Method not found!|Method not implemented!"  # Python
    r"|unknown (service|method) .*|method \S+ not implemented"  # Go
    r"|Method (not found: \S+|\S+ is unimplemented)"  # Java
    r"|(Service|Method) is unimplemented\."  # .NET
    r"|The server does not implement the method \S+",  # Node.js
    re.DOTALL,
)
"""What gRPC's libraries say, as UNIMPLEMENTED, of a service or a procedure that a server hasn't: no word of Triton's.

A model may say nothing with that code, too: so what had no words may have reached it.
"""

_NO_ENDPOINT = "not a Triton server, or one without this endpoint"

_RESTRICTED = re.compile(r"(API|protocol) is restricted, expecting header")

# What grpc 1.x says of a connection that the other side ends at once, as Triton's HTTP port does.
_ENDED = re.compile(r"failed to connect to all addresses.*Socket closed")

WANTS_CERTIFICATE = (
    "does the server want a certificate of this client's? then give TLS(certificate=…, key=…), by an authority that it "
    "trusts"
)
OVER_TLS = "is the server stopping, or is the port one of TLS? then use https://…"
_ENDED_OVER_TLS = f"{WANTS_CERTIFICATE}; or is it no gRPC port?"

_TOO_LARGE = re.compile(r"message larger than max|message exceeds maximum size")
"""What gRPC's servers in C++ and Go, and in Java, say with RESOURCE_EXHAUSTED of a request's size."""

_LARGER = "the request is larger than the server, or a proxy before it, takes"

_HINTS = (
    (
        _RESTRICTED,
        "it is the key: ConnectionOptions(headers={…}); `tritonforge up` says which file keeps that of its server",
    ),
    (
        re.compile(r"must specify a non-zero or non-empty correlation ID"),
        "it keeps a state between requests: with client.sequence(…) as steps: steps.infer(…)",
    ),
    (
        re.compile(r"must specify batch-size 1 due to requirements of sequence"),
        "each request of a sequence is one row: send the rows one after the other",
    ),
    (
        re.compile(r"use generate stream for model"),
        "it is decoupled: client.generate_stream(…) gives each response as it comes",
    ),
    (re.compile(r"[Cc]onnection refused"), IS_IT_UP),
    (REFUSED, "the server has refused the call unread, as one does that has as many as it takes"),
    (re.compile(r"^HTTP 413\b"), _LARGER),
    (_TOO_LARGE, _LARGER),
    (re.compile(r"^Method Not Allowed$"), "is it Triton's metrics port? use its HTTP port (8000 by default)"),
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
    (
        re.compile(r"ALERT_CERTIFICATE_REQUIRED"),
        "the server wants a certificate of this client's: TLS(certificate=…, key=…)",
    ),
    (
        re.compile(r"ALERT_HANDSHAKE_FAILURE"),  # with TLS 1.2, for want of a certificate, too
        f"{WANTS_CERTIFICATE}; or do the two have no cipher in common?",
    ),
    (
        re.compile(r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED)"),
        "the server doesn't take this client's certificate: TLS(certificate=…, key=…), by an authority that it trusts",
    ),
    (
        _ENDED,
        "what answers there speaks no gRPC, or that over TLS: is it the server's HTTP port? then use http://…, or the "
        "gRPC port; is it over TLS? then grpcs://…",
    ),
    (
        re.compile(r"missing selected ALPN property"),
        "what answers there speaks TLS, but no gRPC: is it an HTTP port? then use https://…, or the gRPC port",
    ),
    (
        re.compile(r"WRONG_VERSION_NUMBER"),
        "what answers there speaks no TLS: is it Triton's own port? then use http://… or grpc://…",
    ),
    (
        re.compile(r"Stub process '.*' is not healthy"),
        "the model's process died or hangs, and Triton starts no other: see the server's log, then tritonforge reload",
    ),
)


_NEVER_SENT = re.compile(
    r"failed to connect to all addresses|(DNS|Name) resolution failed"
    rf"|(Stream removed \(RST_STREAM \()?{REFUSED.pattern}"
)
"""What grpc 1.x says where it had no connection to send anything over, or the server refused it: RFC 9113, 8.7."""

_OF_A_CONNECTION = re.compile(
    rf"{_NEVER_SENT.pattern}|Stream removed|Received RST_STREAM|Socket closed|Connection reset|Endpoint closing"
    r"|recvmsg|sendmsg|GOAWAY|keepalive|ping timeout|Broken pipe"
)
"""What grpc 1.x says, as UNAVAILABLE, of a connection; a server's own words with that code come as they are."""

_OF_A_SERVER = re.compile(
    r"\bServer (not ready|is stopping)\b"  # Triton's, at its start and its end
    r"|^(no healthy upstream|upstream )"  # Envoy's, in gRPC's own form
)
"""What says, with Triton's code for a busy model, that it is the server that takes nothing."""

_PENDING = frozenset({408, 504})
"""The statuses of a proxy that no longer waits: the server may be at it still."""

_NO_LONGER_AWAITED = re.compile(r"^upstream request timeout\b")  # Envoy's, for its 504

_BROKEN = re.compile(
    r"^(Stream removed|Received RST_STREAM|Failed parsing HTTP/2|Compression bit set but|Unexpected error decompressing"
    r"|No status received$)"
)
"""What grpc 1.x says, as UNKNOWN, INTERNAL or CANCELLED, of an answer that is not a whole one of gRPC's."""

_GARBLED = re.compile(r"^(Stream removed \((?!RST_STREAM|GOAWAY)|Failed parsing HTTP/2)")
"""What of that is said of bytes that could not be read, after which those that follow can't be either."""

_CODES_OF_BROKEN = frozenset({"UNKNOWN", "INTERNAL", "CANCELLED"})

_LATE_IN_QUEUE = re.compile(r"^Request timeout expired")
"""What Triton says of a request that was in the queue for longer than its limit there."""

_NO_VERSIONS = re.compile(r"^(\[request id: .*?\] )?Request for unknown model: .* has no available versions", re.DOTALL)
_UNKNOWN_MODEL = re.compile(
    r"^(\[request id: .*?\] )?Request for unknown model\b"  # Triton's
    r"|^Model \S+( with version \S+)? not found$"  # MLServer's
    r"|^Model with requested (name|version) is not found"  # OpenVINO Model Server's
    r"|^Model with name \S+ does not exist\b",  # KServe's
    re.DOTALL,
)
"""What "not found" says where it is the server's own: a model may refuse with that code what it doesn't find itself."""

_OF_PROXIES = frozenset({401, 403, 407, 408, 413, 429, 502, 503, 504})
"""What a proxy in front of a Triton says of itself, of the caller's key, or of the size of a request."""

OF_CREDENTIALS = frozenset({"401", "407"})
"""What a proxy says to a caller that it doesn't know; a Triton says 403, of what wants a key (24.10)."""

# grpc 1.x, and `grpc.frames`, of an answer that is HTTP's alone.
_HTTP_STATUS = re.compile(r"^(?:Received http2 header with status: |HTTP status )(\d{3})\b")

_MARKUP = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_LONGEST_EXCERPT = 160

_RAISED = re.compile(r"^(in ensemble '.*?', )?Failed to process the request\(s\) for model '")
"""What the Python backend says of an exception; `generate` has the status 400 for all that a model says (24.10)."""

# A Python model's instances are named after it, with a number.
_STEP = re.compile(r"^in ensemble '.*?', Failed to process the request\(s\) for model '(.+?)_\d+', message: ")


def from_http_status(status: int, words: str, target: Target) -> ClientError:
    """Make the error of an HTTP status that isn't a success; `words` are Triton's, by their form."""
    error = _from_status(status, words, target)
    return _of_model(error, words) if status == 503 else error


def _from_status(status: int, words: str, target: Target) -> ClientError:
    if status < 400:
        words = f"not a Triton server: it answered HTTP {status} {words}".rstrip()
        return ServerUnavailable(words, target, foreign=True)
    kind = _BY_HTTP_STATUS.get(status, InvalidRequest if status < 500 else InferenceFailed)
    if status == 400 and _RAISED.search(words):
        kind = InferenceFailed
    words = words or f"HTTP {status}"
    if str(status) in OF_CREDENTIALS:
        words = f"{words}; it wants credentials: ConnectionOptions(token=…), or headers=…"
    error = _refined(kind, words, target)
    if isinstance(error, ServerUnavailable):
        error.pending = status in _PENDING
    error.code = str(status)
    return error


def from_page(status: int, text: str, target: Target) -> ClientError:
    """Make the error of an HTTP answer without Triton's words: what it holds is a web server's page, or nothing."""
    words = _excerpt(_MARKUP.sub(" ", text)) or _excerpt(text)
    is_page = text.lstrip().startswith("<")
    if status >= 400 and (status == 404 or (is_page and status not in _OF_PROXIES)):
        error = _foreign(status, words, target)
    else:
        error = _from_status(status, f"HTTP {status}: {words}" if is_page and status >= 400 else words, target)
    error.code = str(status) if status >= 400 else ""
    return error


def from_grpc_code(code: str, words: str, target: Target, *, answered: bool = False) -> ClientError:
    """Make the error of a gRPC status code, by its name; `words` are the server's, or grpc's own if not `answered`."""
    kind = _BY_GRPC_CODE.get(code, InferenceFailed)
    error: ClientError
    if code == "UNIMPLEMENTED" and _NO_SUCH_METHOD.fullmatch(words):
        error = ServerUnavailable(f"{_NO_ENDPOINT}: {words or code}", target, sent=not words, foreign=True)
    elif (found := _HTTP_STATUS.match(words)) is None:
        broken = code in _CODES_OF_BROKEN and _BROKEN.search(words)
        error = _refined(ServerUnavailable if broken else kind, words or code, target)
        code = "UNAVAILABLE" if broken else code
        if isinstance(error, ServerUnavailable):
            error.sent = answered or not _NEVER_SENT.match(words)
            error.pending = bool(_NO_LONGER_AWAITED.match(words))
        if code == "UNAVAILABLE" and (answered or not _OF_A_CONNECTION.match(words)):
            _of_model(error, words)
    elif int(found[1]) in _OF_PROXIES:
        error = _from_status(int(found[1]), f"HTTP {found[1]}, which no gRPC server says: a proxy does", target)
    else:
        error = _foreign(int(found[1]), "", target)
    error.code = code
    return error


def from_connection(error: OSError, target: Target) -> ServerUnavailable:
    """Make the error of a socket that can't be connected, or of one that broke."""
    if isinstance(error, ConnectionRefusedError):
        return ServerUnavailable(f"Connection refused; {IS_IT_UP}", target, sent=False)
    sent, silent = not isinstance(error, Unsent), isinstance(error, Unreached)
    return ServerUnavailable(with_hint(error.strerror or str(error)), target, sent=sent, silent=silent)


def too_late(error: TimeoutError, deadline: Deadline, target: Target) -> DeadlineExceeded:
    """Make the error of a call whose time was up before an answer."""
    sent = not isinstance(error, NeverSent)
    waited_for = "no answer" if sent else str(error)
    return DeadlineExceeded(f"{waited_for} within {deadline.given}", target, sent=sent)


def lacks_endpoint(error: ClientError) -> bool:
    """Tell whether what answers hasn't what was asked for: other servers of the protocol lack Triton's extensions."""
    return isinstance(error, ServerUnavailable) and error.foreign and error.code in ("404", "UNIMPLEMENTED")


def is_garbled(code: str, words: str) -> bool:
    """Tell whether grpc couldn't read what came, so that its connection is of no more use: HPACK has one table."""
    return code in _CODES_OF_BROKEN and _GARBLED.search(words) is not None


def inference_failed(words: str, target: Target) -> InferenceFailed:
    """Make the error of a model that took a request and failed, with the ensemble's step where the words name it."""
    step = _STEP.match(words)
    return InferenceFailed(with_hint(words), target, step=step[1] if step else "")


def stream_failed(words: str, target: Target) -> ClientError:
    """Make the error that a stream tells of, in words alone: Triton's own of the model, or what the model says."""
    unknown = _UNKNOWN_MODEL.search(words) and f"model: '{target.model}' " in words
    return _not_found(words, target) if unknown else inference_failed(words, target)


def with_hint(words: str, *, secure: bool = False) -> str:
    """Add to words of the server's, or of grpc's, what they don't say: what to do. `secure`: of gRPC over TLS."""
    if secure and _ENDED.search(words):
        return f"{words}; {_ENDED_OVER_TLS}"
    hint = next((hint for pattern, hint in _HINTS if pattern.search(words)), "")
    return f"{words.rstrip()}; {hint}" if hint else words


def is_restricted(words: str) -> bool:
    """Tell whether a server refused for want of the key to its restricted APIs."""
    return _RESTRICTED.search(words) is not None


def _refined(kind: type[ClientError], words: str, target: Target) -> ClientError:
    if kind is ModelNotFound:
        return _not_found(words, target)
    if kind is InferenceFailed and target.model:
        return inference_failed(words, target)
    if kind is InferenceFailed:  # as Triton says of settings of its own that it can't read (24.10)
        kind = InvalidRequest
    if kind is not ServerUnavailable:
        return kind(with_hint(words), target)
    if _LATE_IN_QUEUE.search(words):  # UNAVAILABLE to Triton (24.10), but to wait once more is what nobody asked for
        return DeadlineExceeded(f"not begun in time: {words}", target)
    if is_restricted(words) or _TOO_LARGE.search(words):  # UNAVAILABLE (24.10) and RESOURCE_EXHAUSTED to gRPC
        return InvalidRequest(with_hint(words), target)
    return ServerUnavailable(with_hint(words, secure=target.url.startswith("grpcs:")), target)


def _of_model(error: ClientError, words: str) -> ClientError:
    """Note that a server has said it, so is up; of the model, unless it says that it is itself not ready."""
    if isinstance(error, ServerUnavailable) and error.target.model:
        error.of_model = not _OF_A_SERVER.search(words)
    return error


def redirected(status: int, location: str, target: Target) -> ClientError:
    """Make the error of an answer that sends its caller to another URL, where no client follows it."""
    words = f"it answered HTTP {status} with a redirection to {_excerpt(location)}, which isn't followed"
    return ServerUnavailable(f"{words}: give the client the URL of the server itself", target, foreign=True)


def _foreign(status: int, words: str, target: Target) -> ClientError:
    who = _NO_ENDPOINT if status == 404 else "not a Triton server"
    path = urlsplit(target.url).path
    hint = f"; the URL has the path {path}: is it that below which a proxy has Triton's?" if path else ""
    return ServerUnavailable(f"{who}: HTTP {status}{words and f': {words}'}{hint}", target, foreign=True)


def _excerpt(text: str) -> str:
    """Give the start of a text, in one line."""
    words = " ".join(html.unescape(text).split())
    return f"{words[:_LONGEST_EXCERPT]}…" if len(words) > _LONGEST_EXCERPT else words


def _not_found(words: str, target: Target) -> ClientError:
    if not target.model:
        return ServerUnavailable(f"{_NO_ENDPOINT}: {words}", target, foreign=True)
    # Triton 24.10 says "not found" of a model that failed to load, too; only its words tell the two apart.
    if _NO_VERSIONS.search(words):
        return ModelNotReady(words, target)
    return ModelNotFound(words, target) if _UNKNOWN_MODEL.search(words) else inference_failed(words, target)
