"""What a call to a server can fail with: each error has the model, version, URL and Triton's own words."""

from __future__ import annotations

import re
from typing import NamedTuple

from tritonforge.client.names import shown
from tritonforge.errors import InvalidTensor, TritonForgeError

__all__ = [
    "ClientError",
    "DeadlineExceeded",
    "InferenceFailed",
    "InvalidRequest",
    "ModelNotFound",
    "ModelNotReady",
    "ServerUnavailable",
    "Target",
]

_LONGEST = 1 << 14
_NO_ID = "[request id: <id_unknown>] "
"""What Triton's words have of a request without an id."""


_HIDDEN = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would act upon in a server's words: control characters, but for tabs and the ends of lines."""


class Target(NamedTuple):
    """Whom a call speaks to. `model`, `version` and `request_id` are empty where the call has none."""

    url: str
    model: str = ""
    version: str = ""
    request_id: str = ""

    def __str__(self) -> str:
        version = f" version {self.version}" if self.version else ""
        request = f" (request {shown(self.request_id)})" if self.request_id else ""
        return f"{shown(self.model)}{version} at {self.url}{request}" if self.model else f"{self.url}{request}"


class ClientError(TritonForgeError):
    """The base of what a call can fail with. `reason` is what went wrong: Triton's own words where it said any.

    `code` is the protocol's word for it, an HTTP status (`"503"`) or gRPC's name (`"UNAVAILABLE"`); empty where no
    answer came.
    """

    def __init__(self, reason: str, target: Target) -> None:
        reason = _excerpt(reason.replace(_NO_ID, ""))
        super().__init__(reason, target)
        self.reason = reason
        self.target = target
        self.code = ""

    @property
    def url(self) -> str:
        """The URL that was called."""
        return self.target.url

    @property
    def model(self) -> str:
        """The model that was called; empty for a call about the server as a whole."""
        return self.target.model

    @property
    def version(self) -> str:
        """The version that was asked for; empty where the server chooses."""
        return self.target.version

    @property
    def request_id(self) -> str:
        """The request id that the caller gave."""
        return self.target.request_id

    @property
    def kind(self) -> str:
        """Which error it is, without its words: they may quote what was sent, and logs are to hold none of that."""
        cause: BaseException | None = self
        while cause is not None and cause.__cause__ is not None:
            cause = cause.__cause__
        detail = self.code or (type(cause).__name__ if cause is not self else "")
        return f"{type(self).__name__} ({detail})" if detail else type(self).__name__

    def tell_of(self, target: Target, *, sent: bool | None = None) -> None:
        """Tell of a call, as the error of a question that was asked for it; the URL stays that of the question.

        `sent`: whether the call's own request had been sent by then, if the question wasn't that itself.
        """
        self.target = target._replace(url=self.url)
        if sent is not None and isinstance(self, (ServerUnavailable, DeadlineExceeded)):
            self.sent = sent

    def __str__(self) -> str:
        reason = self.reason
        for given in (str(self.model), self.request_id):  # which the server's words may quote
            reason = reason.replace(given, shown(given)) if not given.isprintable() else reason
        return f"{self.target}: {_HIDDEN.sub(_escaped, reason)}"


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _excerpt(words: str) -> str:
    """Leave out the middle of words that are longer than any traceback: the peer may have said anything."""
    if len(words) <= _LONGEST:
        return words
    head, tail = words[: _LONGEST // 2], words[-_LONGEST // 4 :]
    return f"{head}… ({len(words) - len(head) - len(tail)} characters left out) …{tail}"


class ServerUnavailable(ClientError):
    """Nothing answers at the URL, what answers isn't a Triton server, or the server says that it can't take more.

    `sent` is False where nothing of the request can have reached the server: to try again is safe, whatever it does.
    `silent`: nothing came at all in the time for a connection. `foreign`: what answers isn't Triton, and will say the
    same again. `of_model`: a Triton that is up says it of the one model, as of a full queue. `pending`: a proxy no
    longer waits for the server, which may be at it still. `after_s`: in how many seconds it wants to be asked again.
    """

    def __init__(
        self,
        reason: str,
        target: Target,
        *,
        sent: bool = True,
        silent: bool = False,
        foreign: bool = False,
        of_model: bool = False,
        pending: bool = False,
    ) -> None:
        super().__init__(reason, target)
        self.sent = sent
        self.silent = silent
        self.foreign = foreign
        self.of_model = of_model
        self.pending = pending
        self.after_s = 0.0


class DeadlineExceeded(ClientError, TimeoutError):
    """The whole of a call, connecting included, took longer than its `timeout_s`.

    Or it was in the server's queue for longer than its limit there, or the server says so; it has a `code` then.
    `sent` is False where nothing of the request can have reached the server, as where no connection was made. What goes
    over grpcio (TLS, streams, large messages) can't tell. `of_token`: it went to the function that gives tokens, which
    says nothing of the server.
    """

    def __init__(self, reason: str, target: Target, *, sent: bool = True) -> None:
        super().__init__(reason, target)
        self.sent = sent
        self.of_token = False


class InvalidRequest(ClientError, InvalidTensor):
    """The request doesn't match the model: said before sending where that can be known, else by the server."""


class ModelNotFound(ClientError):
    """The server knows no model, or no version of it, by this name."""


class ModelNotReady(ClientError):
    """The server knows the model, but has it not loaded: it failed to load, is unloaded, or is still loading."""


class InferenceFailed(ClientError):
    """The model took the request and failed. `reason` holds its message, of a Python model the traceback too.

    `step` is the model that failed inside an ensemble, where Triton's message tells it (24.10): it does for what a
    Python model written by hand raises. Generated ones answer with an error of their own, whose words name the file,
    line and function instead. Empty elsewhere.
    """

    def __init__(self, reason: str, target: Target, *, step: str = "") -> None:
        super().__init__(reason, target)
        self.step = step
