"""Spans of calls, and the context that goes with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tritonforge.client import Client, InvalidRequest, ModelNotFound, ServerUnavailable
from tritonforge.client.concurrency.blocking import finish, iterate
from tritonforge.client.deadline import Deadline
from tritonforge.client.observing import observers
from tritonforge.client.observing.observation import Call
from tritonforge.client.observing.tracing import Tracer
from tritonforge.client.questions import Question
from tritonforge.errors import TritonForgeError

from .fault_server import ANSWER, FaultServer, Peer, answer_all, free_port, then_close
from .observed import BUSY, REQUEST, observed
from .small_servers import serve_model

CONFIG = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"max_batch_size":8}'


class Spans:
    """A provider, and what it was given."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = Tracer(self.provider)

    def only(self):
        (span,) = self.exporter.get_finished_spans()
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    made = Spans()
    yield made
    made.provider.shutdown()


class Recorder:
    """A behaviour that answers correctly, and keeps the heads of requests."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    def __call__(self, peer: Peer) -> None:
        while request := peer.request():
            self.heads.append(request.partition(b"\r\n\r\n")[0].decode())
            peer.send(ANSWER)

    def header(self, name: str) -> str:
        lines = [line.partition(": ") for line in self.heads[-1].split("\r\n")]
        return next((value for found, _, value in lines if found == name), "")


def test_a_call_is_a_client_span_and_its_context_goes_along(spans):
    seen = Recorder()
    with FaultServer(seen) as server, observed(server.url, spans.tracer) as line:
        with spans.provider.get_tracer("test").start_as_current_span("outer") as outer:
            line.infer()
        inner, parent = spans.exporter.get_finished_spans()
        assert parent.name == "outer"
        assert inner.parent.span_id == outer.get_span_context().span_id
        assert inner.kind is trace.SpanKind.CLIENT
        assert inner.name == "POST /v2/models/{model}/infer"
        trace_id, span_id = inner.context.trace_id, inner.context.span_id
        assert seen.header("traceparent").startswith(f"00-{trace_id:032x}-{span_id:016x}-0")
        assert dict(inner.attributes) == {
            "http.request.method": "POST",
            "url.template": "/v2/models/{model}/infer",
            "url.full": f"{server.url}/v2/models/m/versions/03/infer",
            "server.address": "127.0.0.1",
            "server.port": server.port,
            "triton.model.name": "m",
            "triton.model.version": "3",  # the one that answered
            "triton.request.id": "r-7",
            "triton.request.bytes": 24,
            "triton.response.bytes": 8,
            "triton.response.count": 1,
            "http.response.status_code": 200,
        }
        assert inner.status.status_code is trace.StatusCode.UNSET


def test_the_batch_is_told_once_the_model_is_known_to_batch(spans):
    def configured(peer: Peer) -> None:
        peer.request()
        peer.send(CONFIG)
        answer_all(peer)

    with FaultServer(configured) as server, observed(server.url, spans.tracer) as line:
        finish(line.transport.ask(Question("model_config", "m", "03"), Deadline(20)))
        line.infer()
    asked, inferred = spans.exporter.get_finished_spans()
    assert asked.name == "GET /v2/models/{model}/config"
    assert inferred.attributes["triton.request.batch_size"] == 2


def test_retries_are_events_and_the_last_error_is_the_status(spans):
    with (
        FaultServer(then_close(BUSY)) as server,
        observed(server.url, spans.tracer) as line,
        pytest.raises(ServerUnavailable) as caught,
    ):
        line.infer()
    assert caught.value.code == "503"
    span = spans.only()
    assert [event.name for event in span.events] == ["retry", "retry"]
    assert span.events[0].attributes["error.type"] == "ServerUnavailable (503)"
    assert span.attributes["error.type"] == "ServerUnavailable"
    assert span.attributes["http.response.status_code"] == 503
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "busy")


def test_a_call_that_another_server_answers_names_that_one(spans):
    dead = f"http://127.0.0.1:{free_port()}"
    with FaultServer(answer_all) as server, observed([server.url, dead], spans.tracer) as line:
        line.infer()  # in turn: the second one first
    span = spans.only()
    assert span.attributes["server.port"] == server.port
    assert [event.attributes["error.type"] for event in span.events] == ["ServerUnavailable (ConnectionRefusedError)"]
    assert span.status.status_code is trace.StatusCode.UNSET


def test_grpc_calls_are_named_by_their_procedure(spans):
    with observed(f"grpc://127.0.0.1:{free_port()}", spans.tracer) as line:
        with pytest.raises(ServerUnavailable):
            line.infer()
        with pytest.raises(InvalidRequest):
            list(iterate(line.transport.events(Question("generate", "m"), Deadline(20))))
    inferred, asked = spans.exporter.get_finished_spans()
    assert inferred.name == inferred.attributes["rpc.method"] == "inference.GRPCInferenceService/ModelInfer"
    assert inferred.attributes["rpc.system"] == "grpc"
    assert inferred.attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert asked.attributes["error.type"] == "InvalidRequest"


def test_without_an_sdk_the_callers_context_goes_on_and_nothing_else():
    seen = Recorder()
    parent = trace.SpanContext(trace_id=5, span_id=7, is_remote=True, trace_flags=trace.TraceFlags(1))
    with FaultServer(seen) as server, observed(server.url, Tracer()) as line:
        line.infer()
        assert "traceparent" not in seen.heads[-1]
        token = context.attach(
            baggage.set_baggage("tenant", "a", trace.set_span_in_context(trace.NonRecordingSpan(parent)))
        )
        try:
            line.infer()
        finally:
            context.detach(token)
    assert seen.header("traceparent") == f"00-{5:032x}-{7:016x}-01"
    assert seen.header("baggage") == "tenant=a"


def test_a_call_that_is_not_sampled_says_so_to_the_server():
    seen = Recorder()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    with FaultServer(seen) as server, observed(server.url, Tracer(provider)) as line:
        line.infer()
    provider.shutdown()
    assert int(seen.header("traceparent")[-2:], 16) & 1 == 0


def test_a_request_of_the_callers_is_left_as_it_is(spans):
    with FaultServer(answer_all) as server, observed(server.url, spans.tracer) as line:
        line.infer(REQUEST)
    assert REQUEST.headers == ()


def test_tracing_is_by_itself_where_it_is_installed_and_can_be_forbidden_or_demanded(monkeypatch):
    assert [type(found) for found in observers.find_observers(None, False)] == [Tracer]
    assert observers.find_observers(False, False) == []
    monkeypatch.setattr(observers, "_installed", lambda module: False)
    assert observers.find_observers(None, False) == []
    with pytest.raises(TritonForgeError, match=r"tracing=True takes opentelemetry.*pip install tritonforge\[otel\]"):
        Client("http://127.0.0.1:1", tracing=True)


def test_who_wants_no_tracing_and_no_metrics_imports_nothing_for_them():
    script = (
        "import sys; from tritonforge.client import Client\n"
        "Client('http://127.0.0.1:1', tracing=False).is_ready()\n"
        "assert not {'opentelemetry', 'prometheus_client'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class Idle:
    """An observer with nobody to tell."""

    def idle(self) -> bool:
        return True

    def watch(self, call: Call) -> None:
        raise AssertionError(call)

    def circuit(self, url: str, *, opened: bool) -> None:
        raise AssertionError(url)

    def close(self) -> None:
        pass


def test_who_is_idle_is_not_told_of_an_inference():
    with FaultServer(answer_all) as server, observed(server.url, Idle()) as line:
        assert line.infer().model == "m"


def test_the_look_up_of_near_names_is_no_call_of_the_users(spans):
    def refuse(peer: Peer) -> None:
        while request := peer.request():
            words = b'{"error":"Request for unknown model: \'m\' is not found"}'
            if b"/index" in request:
                words = b'{"error":"This API is restricted, expecting header \'triton-key\'"}'
            peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(words), words))

    with (
        FaultServer(refuse) as server,
        Client(server.url, tracing=spans.provider) as client,
        pytest.raises(ModelNotFound),
    ):
        client.describe("m")
    assert spans.only().name == "GET /v2/models/{model}"


def test_the_span_of_a_question_of_all_models_has_its_own_path(spans):
    none = then_close(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"model_stats":[]}')
    with FaultServer(none) as server, Client(server.url, tracing=spans.provider) as client:
        assert client.admin.statistics() == []
    assert spans.only().attributes["url.template"] == "/v2/models/stats"


def chunked(*parts: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize("answer", [chunked(b'{"y":', b"1}"), b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"y":1}'])
def test_one_answer_of_generate_is_one_however_it_comes(spans, answer):
    with FaultServer(then_close(answer)) as server, Client(server.url, tracing=spans.provider) as client:
        assert client.generate("m", x=1) == {"y": 1}
    assert spans.only().attributes["triton.response.count"] == 1
    assert spans.only().attributes["triton.response.bytes"] == 7


def test_a_stream_of_events_counts_these(spans):
    answer = chunked(b'data: {"y":1}\n\ndata: {"y', b'":2}\n\n')
    with FaultServer(then_close(answer)) as server, Client(server.url, tracing=spans.provider) as client:
        assert [event["y"] for event in client.generate_stream("m", x=1)] == [1, 2]
    assert spans.only().attributes["triton.response.count"] == 2


def test_a_stream_that_can_not_be_over_http_is_no_span(spans):
    with FaultServer(serve_model) as server, Client(server.url, tracing=spans.provider) as client:
        with pytest.raises(InvalidRequest, match="over gRPC only"):
            list(client.stream("m", x=np.zeros(2, np.float32)))
        assert all("POST" not in span.name for span in spans.exporter.get_finished_spans())
