"""How models are doing, as far as it takes no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tritonforge.server import ModelState, ModelStatistics
from tritonforge.server.asking import status
from tritonforge.server.asking.status import model_statuses, unloaded


class Native:
    """A server, and what asks it: one model of onnxruntime in two copies, and what is beside it in the statistics."""

    def __init__(self, *counted: ModelStatistics) -> None:
        self.counted = list(counted)

    metrics_url = ""

    def statistics(self) -> list[Any]:
        return self.counted

    def models(self) -> list[ModelState]:
        return [ModelState("net", "1", "READY")]

    def request(self, method: str, path: str) -> tuple[int, bytes]:
        assert method == "GET"
        assert path.endswith("/versions/1/config")
        return 200, json.dumps({"backend": "onnxruntime", "instance_group": [{"count": 2}]}).encode()


@pytest.mark.parametrize(
    ("backends", "alive", "healthy"), [(("python",), None, True), (("python", "onnxruntime"), 0, False)]
)
def test_only_models_that_run_in_python_can_lose_a_process(
    backends: tuple[str, ...], alive: int | None, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NVIDIA's image onnxruntime is a library of the server's own."""
    monkeypatch.setattr(status, "living_stubs", lambda pid: {})
    server: Any = Native()
    (found,) = model_statuses(server, server, server_pid=1, python_backends=backends)
    assert (found.instances, found.alive, found.healthy) == (2, alive, healthy)


@pytest.mark.parametrize(("requests", "median_us"), [(0, None), (3, 182.0)])
def test_times_are_of_what_was_loaded_last(
    requests: int, median_us: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metrics of the last minute count what a load before has answered."""
    page = 'nv_inference_request_summary_us{model="net",version="1",quantile="0.5"} 182\n'
    monkeypatch.setattr(status, "fetch_metrics", lambda url: page)
    server: Any = Native(ModelStatistics("net", "1", requests, 0, requests, requests, 5.0, 1.0))
    (net,) = model_statuses(server, server)
    assert (net.requests, net.p50_us) == (requests, median_us)


def test_a_model_that_the_index_leaves_out_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton (24.10) doesn't list one whose files came with the request to load it; its statistics know it.

    Its processes are not told by their paths.
    """
    monkeypatch.setattr(status, "living_stubs", lambda pid: {})
    server: Any = Native(*(ModelStatistics(name, "1", 3, 0, 3, 3, 5.0, 1.0) for name in ("given", "net")))
    given, net = model_statuses(server, server, server_pid=1)
    assert (given.name, given.version, given.state, given.requests) == ("given", "1", "READY", 3)
    assert (given.instances, given.alive, given.healthy) == (2, None, True)
    assert (net.requests, net.alive) == (3, 0)


def test_models_that_are_unloaded_or_about_to_be_are_named(tmp_path: Path) -> None:
    states = [
        ModelState("away", "1", "UNAVAILABLE", "unloaded"),
        ModelState("going", "1", "UNLOADING"),
        ModelState("renewed", "1", "UNLOADING"),
        ModelState("renewed", "2", "READY"),
        ModelState("faulty", "1", "UNAVAILABLE", "no such file"),
        ModelState("removed", "1", "UNAVAILABLE", "unloaded"),
    ]
    for name in ("away", "going", "renewed", "faulty"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").touch()
    assert unloaded(states, tmp_path) == ["away", "going"]
