"""Calls as spans of OpenTelemetry: the caller's context goes on to Triton, whose own spans join the trace.

Attributes are those of https://opentelemetry.io/docs/specs/semconv/rpc/grpc and …/http/http-spans, and `triton.*` for
what those have no name for. Without an SDK, and outside of any trace, nothing is done.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry import context, propagate, trace

from tritonforge.client.errors import ClientError
from tritonforge.client.http.questions import model_path, request_line
from tritonforge.client.message import Headers
from tritonforge.client.observing.observation import Call, Watch
from tritonforge.client.questions import READINESS, Question
from tritonforge.client.url import Endpoint, parse_url

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["Tracer"]

_SERVICE = "inference.GRPCInferenceService"
_LONGEST_WORDS = 300

Attributes = dict[str, "str | int | float | bool"]


class Tracer:
    """Makes a client span of each call."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """Take the global provider, whenever one is set, where none is given."""
        self._tracer = trace.get_tracer("tritonforge.client", tracer_provider=provider)
        self._has_provider = provider is not None

    def idle(self) -> bool:
        """Tell whether there is neither a provider nor a trace."""
        return not (self._has_provider or context.get_current() or _sdk_is_set_up())

    def watch(self, call: Call) -> Watch | None:
        """Start a span in the current context."""
        if self.idle() or (call.subject == "stream" and not any(map(_speaks_grpc, call.target.url.split(", ")))):
            return None  # a stream of tensors is sent over gRPC only
        url = call.target.url.partition(", ")[0]
        name, fixed = _name(call.subject, url, of_model=bool(call.target.model))
        span = self._tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes={**fixed, **_attributes(call, url)})
        carrier: dict[str, str] = {}
        propagate.inject(carrier, trace.set_span_in_context(span))
        if not (carrier or span.is_recording()):
            return None
        return _SpanWatch(span, tuple((key.lower(), value) for key, value in carrier.items()), call, url)

    def circuit(self, url: str, *, opened: bool) -> None:
        """Do nothing: it belongs to no call."""

    def close(self) -> None:
        """Do nothing: the provider is not this client's."""


class _SpanWatch:
    __slots__ = ("_bytes", "_call", "_count", "_span", "_url", "_version", "headers")

    def __init__(self, span: Span, headers: Headers, call: Call, url: str) -> None:
        self.headers = headers
        self._span, self._call, self._url = span, call, url
        self._bytes = self._count = 0
        self._version = ""

    def attempt(self, url: str) -> None:
        if url != self._url:
            self._url = url
            self._span.set_attributes(_server(url))

    def retry(self, url: str, error: ClientError, delay_s: float) -> None:
        self._span.add_event("retry", {**_server(url), "error.type": error.kind, "triton.retry.delay_s": delay_s})

    def came(self, size: int, version: str = "") -> None:
        self._bytes += size
        self._count += 1
        self._version = version

    def done(self, error: BaseException | None) -> None:
        span = self._span
        if span.is_recording():
            if self._count:
                span.set_attributes({"triton.response.bytes": self._bytes, "triton.response.count": self._count})
            if self._version:
                span.set_attribute("triton.model.version", self._version)
            self._end(error)
        span.end()

    def _end(self, error: BaseException | None) -> None:
        over_grpc = self._url.startswith("grpc")
        if isinstance(error, GeneratorExit):  # who reads has had enough: no failure
            self._span.set_attribute("triton.cancelled", True)
            return
        if error is None:
            if over_grpc:
                self._span.set_attribute("rpc.response.status_code", "OK")
            elif self._call.subject not in READINESS:
                self._span.set_attribute("http.response.status_code", 200)
            return
        self._span.set_attribute("error.type", type(error).__name__)
        words = ""
        if isinstance(error, ClientError):
            words = error.reason[:_LONGEST_WORDS]
            if error.code.isdecimal():
                self._span.set_attribute("http.response.status_code", int(error.code))
            elif error.code:
                self._span.set_attribute("rpc.response.status_code", error.code)
        self._span.set_status(trace.StatusCode.ERROR, words)


@lru_cache(maxsize=256)
def _speaks_grpc(url: str) -> bool:
    return parse_url(url).speaks_grpc


def _sdk_is_set_up() -> bool:
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def _attributes(call: Call, url: str) -> Attributes:
    """Give what varies; the names of what is empty are left out."""
    target = call.target
    found: Attributes = dict(_server(url))
    if not url.startswith("grpc"):
        found["url.full"] = url + _path(call)
    if target.model:
        found["triton.model.name"] = target.model
    if target.version:
        found["triton.model.version"] = target.version
    if target.request_id:
        found["triton.request.id"] = target.request_id
    if call.rows:
        found["triton.request.batch_size"] = call.rows
    if call.size:
        found["triton.request.bytes"] = call.size
    return found


@lru_cache(maxsize=256)
def _name(subject: str, url: str, *, of_model: bool) -> tuple[str, Attributes]:
    """Name the span of a call, and give the attributes of what is asked."""
    if parse_url(url).speaks_grpc:
        procedure = f"{_SERVICE}/{_procedure(subject)}"
        # rpc.system and rpc.service are older names, which many a backend still shows.
        system: Attributes = {"rpc.system": "grpc", "rpc.system.name": "grpc", "rpc.service": _SERVICE}
        return procedure, {**system, "rpc.method": procedure}
    if subject in ("infer", "stream"):
        method, template = "POST", "/v2/models/{model}/infer"
    else:
        method, path = request_line(Question(subject, "MODEL" if of_model else ""))
        template = path.replace("MODEL", "{model}")
    return f"{method} {template}", {"http.request.method": method, "url.template": template}


def _procedure(subject: str) -> str:
    if subject in ("infer", "stream"):
        return "ModelInfer" if subject == "infer" else "ModelStreamInfer"
    from tritonforge.client.grpc.questions import SUBJECTS

    return SUBJECTS[subject][0] if subject in SUBJECTS else subject


def _path(call: Call) -> str:
    _, model, version, _ = call.target
    if call.subject in ("infer", "stream"):
        return f"{model_path(model, version)}/infer"
    return request_line(Question(call.subject, model, version))[1]


@lru_cache(maxsize=256)
def _server(url: str) -> Attributes:
    endpoint: Endpoint = parse_url(url)
    return {"server.address": endpoint.host, "server.port": endpoint.port}
