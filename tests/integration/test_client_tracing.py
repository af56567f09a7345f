"""A caller's span, the client's, and Triton's own are of one trace."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tritonforge.client import Client
from tritonforge.server import Server

ONE = np.ones((1, 1), np.float32)
Spans = list[dict[str, object]]


@pytest.fixture(scope="module")
def exported() -> Iterator[tuple[str, Spans]]:
    """The URL of a receiver of OTLP over HTTP, and what came there."""
    spans: Spans = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(
                self.rfile.read(int(self.headers["Content-Length"]))
            )  # of 24.10; OTLP may be protobuf, too
            for resource in body["resourceSpans"]:
                spans.extend(span for scope in resource["scopeSpans"] for span in scope["spans"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{receiver.server_address[1]}/v1/traces", spans
        receiver.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def traced(echo_repository: Path, exported: tuple[str, Spans]) -> Iterator[Server]:
    with Server.embedded(
        echo_repository,
        http_port=0,
        grpc_port=0,
        metrics_port=0,
        exit_timeout_s=0,
        trace_endpoint=exported[0],
        trace_rate=1,
    ) as server:
        yield server


def wait_for(found: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30  # Triton exports in batches, every few seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.05)
    return found()


def test_tritons_spans_are_children_of_the_clients(traced, exported):
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with provider.get_tracer("test").start_as_current_span("caller") as caller:
        for url in (traced.http_url, traced.grpc_url):
            with Client(url, tracing=provider) as client:
                for _ in range(10):
                    client.infer("echo", x=ONE)
    provider.shutdown()
    inferences = [span for span in spans.get_finished_spans() if span.name.endswith(("/infer", "/ModelInfer"))]
    assert {span.name for span in inferences} == {
        "POST /v2/models/{model}/infer",
        "inference.GRPCInferenceService/ModelInfer",
    }
    for span in inferences:
        assert span.attributes["triton.model.name"] == "echo"
        assert span.attributes["triton.request.batch_size"] == 1
        assert span.context.trace_id == caller.get_span_context().trace_id
    over_http, over_grpc = ([above(span) for span in part] for part in (inferences[:10], inferences[10:]))
    assert wait_for(lambda: all(is_parent(span, exported[1]) for span in over_http))
    # On a busy machine Triton 24.10 begins a trace of its own for some gRPC requests, of tritonclient's, too.
    assert wait_for(lambda: any(is_parent(span, exported[1]) for span in over_grpc))


def above(span: ReadableSpan) -> dict[str, object]:
    """What OTLP's JSON says in a child of `span`."""
    assert span.context
    return {"traceId": f"{span.context.trace_id:032x}", "parentSpanId": f"{span.context.span_id:016x}"}


def is_parent(span: dict[str, object], spans: Spans) -> bool:
    return any(span.items() <= theirs.items() for theirs in spans)
