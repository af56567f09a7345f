"""What a server's statistics and metrics say of its models."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tritonforge.server.asking.statistics import fetch_metrics, read_quantiles, read_waiting
from tritonforge.server.asking.status import ModelStatus, amiss, read_instances, served_beside

METRICS = """
# TYPE nv_inference_request_summary_us summary
nv_inference_request_summary_us_count{model="echo",version="2"} 3
nv_inference_request_summary_us{model="echo",version="2",quantile="0.5"} 182
nv_inference_request_summary_us{model="echo",version="2",quantile="0.99"} 367
nv_inference_request_summary_us{model="idle",version="1",quantile="0.5"} Nan
nv_inference_queue_summary_us{model="echo",version="2",quantile="0.5"} 1
nv_inference_pending_request_count{model="echo",version="2"} 4
"""


def test_quantiles_are_of_the_whole_request_and_none_where_there_was_none() -> None:
    """As Triton 24.10 writes them."""
    assert read_quantiles(METRICS) == {("echo", "2"): {0.5: 182.0, 0.99: 367.0}}
    assert read_quantiles("") == {}


def test_waiting_requests_are_read() -> None:
    assert read_waiting(METRICS) == {("echo", "2"): 4}


class Metrics(BaseHTTPRequestHandler):
    """Serves a page of metrics."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(METRICS.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing."""


def test_metrics_are_asked_for_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As all else of a server is."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with HTTPServer(("127.0.0.1", 0), Metrics) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        page = fetch_metrics(f"http://127.0.0.1:{listening.server_port}/metrics")
        listening.shutdown()
    assert page == METRICS


def test_instances_are_counted_over_groups_and_gpus() -> None:
    """An ensemble has none."""
    groups = [{"count": 2, "gpus": []}, {"count": 3, "gpus": [0, 1]}]
    assert read_instances({"instance_group": groups}) == 8
    assert read_instances({"platform": "ensemble", "instance_group": []}) is None


def test_a_model_is_healthy_with_all_its_processes() -> None:
    """Where they can't be seen, Triton's word counts."""
    model = {"name": "m", "version": "1"}
    assert ModelStatus(**model, state="READY", instances=2, alive=2).healthy
    assert ModelStatus(**model, state="READY", instances=2).healthy
    assert not ModelStatus(**model, state="READY", instances=2, alive=1).healthy
    assert not ModelStatus(**model, state="UNAVAILABLE").healthy


def status(version: str, state: str, **fields: Any) -> ModelStatus:
    """A version of the model `m`."""
    return ModelStatus(name="m", version=version, state=state, **fields)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"1": "READY"}, []),
        ({"2": "UNAVAILABLE", "3": "READY"}, []),
        ({"9": "UNAVAILABLE", "10": "READY"}, []),
        ({"1": "READY", "2": "UNAVAILABLE"}, ["2"]),
        ({"1": "UNAVAILABLE"}, ["1"]),
        ({"": ""}, [""]),
        ({"1": "UNLOADING", "2": "READY"}, []),
        ({"1": "READY", "2": "LOADING"}, []),
        ({"1": "LOADING"}, ["1"]),
        ({"1": "READY", "": "UNAVAILABLE"}, [""]),
    ],
)
def test_a_failed_version_counts_while_it_is_the_newest_attempt(versions: dict[str, str], expected: list[str]) -> None:
    """Triton keeps it in its index for ever; versions are numbers."""
    found = [status(version, state) for version, state in versions.items()]
    other = ModelStatus(name="other", version="5", state="READY")
    assert [each.version for each in amiss([*found, other])] == expected


def test_a_lost_process_counts_and_what_serves_is_known() -> None:
    old, failed = status("1", "READY", instances=2, alive=1), status("2", "UNAVAILABLE", reason="no")
    assert amiss([old, failed]) == [old, failed]
    assert served_beside(failed, [old, failed]) == old
    assert served_beside(old, [old, failed]) is None
