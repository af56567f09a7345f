"""The client's Prometheus metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tritonforge.client import Breaker, Client, ServerUnavailable
from tritonforge.client.concurrency.blocking import iterate
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import Target
from tritonforge.client.observing import observers
from tritonforge.client.observing.observation import Call
from tritonforge.client.observing.prometheus import Prometheus
from tritonforge.client.questions import Question
from tritonforge.errors import TritonForgeError

from .fault_server import ANSWER, FaultServer, Peer, answer_all, free_port, then_close
from .observed import BUSY, observed

NAME = "tritonforge_client"


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"{NAME}_{name}", labels)


def test_calls_are_counted_by_model_url_and_code_and_timed():
    registry = CollectorRegistry()
    with FaultServer(answer_all) as server, observed(server.url, Prometheus(registry)) as line:
        line.infer()
        line.infer()
        call = {"method": "infer", "model": "m", "url": server.url}
        assert value(registry, "requests_total", **call, code="OK") == 2
        assert value(registry, "request_duration_seconds_count", **call, code="OK") == 2
        assert 0 < value(registry, "request_duration_seconds_sum", **call, code="OK") < 20
        assert value(registry, "requests_in_flight", **call) == 0
        assert value(registry, "retries_total", **call) is None


def test_a_call_is_in_flight_while_it_lasts():
    registry = CollectorRegistry()
    seen = []

    def look(peer: Peer) -> None:
        peer.request()
        seen.append(value(registry, "requests_in_flight", method="infer", model="m", url=server.url))
        peer.send(ANSWER)

    with FaultServer(look) as server, observed(server.url, Prometheus(registry)) as line:
        line.infer()
    assert seen == [1]


def test_a_call_that_nobody_has_any_more_is_not_in_flight():
    """As one that an exception of a signal handler has ended before it could be told."""
    registry = CollectorRegistry()
    call = Call("infer", Target("http://a:1", "m"))
    labels = {"method": "infer", "model": "m", "url": "http://a:1"}
    lost, kept = Prometheus(registry).watch(call), Prometheus(registry).watch(call)
    lost.attempt("http://a:1")
    kept.attempt("http://a:1")
    assert value(registry, "requests_in_flight", **labels) == 2
    del lost
    assert value(registry, "requests_in_flight", **labels) == 1
    kept.done(None)
    kept.done(None)
    assert value(registry, "requests_in_flight", **labels) == 0


def test_retries_errors_and_circuits_are_counted_and_a_closed_client_has_none():
    registry = CollectorRegistry()
    with FaultServer(then_close(BUSY)) as server:
        with observed(server.url, Prometheus(registry), breaker=Breaker(failures=3, pause_s=60)) as line:
            with pytest.raises(ServerUnavailable):
                line.infer()
            call = {"method": "infer", "model": "m", "url": server.url}
            assert value(registry, "retries_total", **call) == 2
            assert value(registry, "requests_total", **call, code="ServerUnavailable") == 1
            assert value(registry, "circuit_open", url=server.url) == 1
            with pytest.raises(ServerUnavailable, match="circuit open"):
                line.infer()  # asks nobody
            assert value(registry, "requests_total", **call, code="ServerUnavailable") == 2
            assert value(registry, "requests_in_flight", **call) == 0
        assert value(registry, "circuit_open", url=server.url) == 0


def test_a_circuit_that_closes_is_counted_as_closed():
    registry = CollectorRegistry()
    with (
        FaultServer(then_close(BUSY), answer_all) as server,
        observed(server.url, Prometheus(registry), breaker=Breaker(failures=1, pause_s=0.001)) as line,
    ):
        line.infer_at_last()
        assert value(registry, "circuit_open", url=server.url) == 0


def test_a_stream_that_is_given_up_is_no_failure():
    registry = CollectorRegistry()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def chunks(peer: Peer) -> None:
        peer.request()
        peer.send(head + b"2\r\nab\r\n")
        peer.hold()

    with FaultServer(chunks) as server, observed(server.url, Prometheus(registry)) as line:
        pieces = iterate(line.transport.events(Question("generate_stream", "m"), Deadline(20)))
        assert next(pieces) == b"ab"
        pieces.close()
        call = {"method": "generate_stream", "model": "m", "url": server.url}
        assert value(registry, "requests_total", **call, code="Cancelled") == 1
        assert value(registry, "requests_in_flight", **call) == 0


def test_clients_share_a_registry():
    registry = CollectorRegistry()
    url = f"http://127.0.0.1:{free_port()}"
    for _ in range(2):
        with Client(url, metrics=registry, tracing=False) as client:
            assert client.is_ready() is False
    text = generate_latest(registry).decode()
    assert f'{NAME}_requests_total{{code="ServerUnavailable",method="server_ready",model="",url="{url}"}} 2.0' in text


def test_metrics_without_the_package_are_refused(monkeypatch):
    monkeypatch.setattr(observers, "_installed", lambda module: False)
    with pytest.raises(TritonForgeError, match=r"metrics=True takes prometheus_client.*tritonforge\[prometheus\]"):
        Client("http://127.0.0.1:1", metrics=True)
