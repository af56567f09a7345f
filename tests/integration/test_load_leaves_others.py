"""A model that takes long to load keeps no request to another one waiting."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path

from repositories import ECHO, FREE_PORTS, until, write_model

from tritonforge.server import Server

CONNECTIONS = 12

SLOW_TO_LOAD = f"""
import pathlib
import time
{ECHO}
    def initialize(self, args):
        gate = pathlib.Path("GATE")
        gate.with_name("loading").touch()
        end = time.monotonic() + 60
        while not gate.exists() and time.monotonic() < end:
            time.sleep(0.01)
"""


def test_all_connections_are_answered_while_a_model_loads(tmp_path: Path) -> None:
    """Triton's HTTP port serves several connections by one thread, and a load over HTTP would hold it."""
    gate, models = tmp_path / "gate", tmp_path / "models"
    gate.touch()
    write_model(models, "echo", ECHO)
    slow = write_model(models, "slow", SLOW_TO_LOAD.replace("GATE", str(gate)))
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [7.0]}]})
    with Server.embedded(models, model_control="explicit", exit_timeout_s=0, **FREE_PORTS) as server:
        address = server.http_url.removeprefix("http://")
        lines = [http.client.HTTPConnection(address, timeout=40) for _ in range(CONNECTIONS)]
        _ask(lines, body)  # a connection belongs to a thread from when it is made
        gate.unlink()
        (tmp_path / "loading").unlink()
        (slow / "model.py").write_text((slow / "model.py").read_text() + "# changed\n")
        load = threading.Thread(target=server.reload, args=("slow",))
        load.start()
        try:
            until((tmp_path / "loading").exists, "the load begins")
            answers = _ask(lines, body)
            assert load.is_alive()
        finally:
            gate.touch()
            load.join()
            for line in lines:
                line.close()
        assert answers == [[7.0]] * CONNECTIONS
        assert server.status()[0].state == "READY"


def _ask(lines: list[http.client.HTTPConnection], body: str) -> list[list[float]]:
    for line in lines:
        line.request("POST", "/v2/models/echo/infer", body)
    return [json.load(line.getresponse())["outputs"][0]["data"] for line in lines]
