"""A server that stops as Triton's HTTP server does: it keeps the connections that are idle, and closes new ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tritonforge.load import Load, ModelLoad, Point, ServerGone, Session, Settings

TENSOR = {"name": "x", "datatype": "FP32", "shape": [2]}
PAGES: dict[str, dict[str, Any]] = {
    "/v2": {"name": "stopping", "version": "1", "extensions": ["statistics"]},
    "/v2/models/m": {"name": "m", "inputs": [TENSOR], "outputs": [TENSOR]},
    "/v2/models/stats": {"model_stats": []},
}
ANSWER = {"outputs": [{**TENSOR, "data": [1, 2]}]}


class StoppingServer(ThreadingHTTPServer):
    """Once it is `stopping`, it answers what is asked of it on connections that it has, but infers no more."""

    stopping = False

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse new connections while it stops."""
        return not self.stopping


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StoppingServer

    def do_GET(self) -> None:
        self.answer(PAGES.get(self.path, {}), 200 if self.path in PAGES else 404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.stopping:
            self.close_connection = True
        else:
            self.answer(ANSWER)

    def answer(self, content: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[StoppingServer]:
    with StoppingServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("statistics", [True, False], ids=["statistics", "without"])
def test_a_server_that_closes_new_connections_went_away(statistics: bool) -> None:
    """Its statistics, on the connection that it has, are answered all the while."""
    with serving() as server:
        settings = Settings(
            f"http://127.0.0.1:{server.server_port}",
            (ModelLoad("m"),),
            warmup_s=0.0,
            window_s=0.1,
            duration_s=20.0,
            server_statistics=statistics,
        )
        with Session(settings) as session:
            # By a clock of its own: a busy machine shows windows late.
            threading.Timer(1.0, setattr, [server, "stopping", True]).start()
            with pytest.raises(ServerGone, match="went away: it closes new connections"):
                session.measure(Load("concurrency", 2))


def test_who_looks_on_slowly_is_told_of_fewer_windows() -> None:
    """What is told takes time of the load generator's; all windows are measured all the same."""
    told: list[int] = []

    def look_on(point: Point) -> None:
        told.append(len(point.windows))
        time.sleep(0.06)

    with serving() as server:
        settings = Settings(
            f"http://127.0.0.1:{server.server_port}", (ModelLoad("m"),), warmup_s=0.0, window_s=0.1, duration_s=2.0
        )
        with Session(settings) as session:
            point = session.measure(Load("concurrency", 2), on_window=look_on)
    assert len(point.windows) == 20
    assert 1 <= len(told) <= 5
