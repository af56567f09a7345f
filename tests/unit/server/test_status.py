"""How models are doing, as far as it takes no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tritonforge.server import ModelState, status
from tritonforge.server.status import model_statuses, unloaded


class Native:
    """A server, and what asks it: one model of onnxruntime in two copies."""

    metrics_url = ""

    def statistics(self) -> list[Any]:
        return []

    def models(self) -> list[ModelState]:
        return [ModelState("net", "1", "READY")]

    def request(self, method: str, path: str) -> tuple[int, bytes]:
        assert (method, path) == ("GET", "/v2/models/net/versions/1/config")
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
