"""Settings as a real server takes them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from repositories import ECHO, FREE_PORTS, PYTHON, infer, until, write_model

from tritonforge.resources import python_backends
from tritonforge.server import ModelLoadError, PreflightError, Server, ServerError
from tritonforge.server.installed.backends import assemble_backends
from tritonforge.server.machine import probe


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Take what an exporter of traces sends; give the address, and what came."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        finally:
            server.shutdown()
            thread.join()


def test_cache_traces_and_the_log_are_as_set(tmp_path: Path) -> None:
    """One server with all of them, by a name: the second answer comes from the cache, each request is traced."""
    write_model(tmp_path, "echo", ECHO, config=f"{PYTHON} response_cache {{ enable: true }}")
    with (
        collector() as (endpoint, received),
        Server.embedded(
            tmp_path,
            host="localhost",
            exit_timeout_s=1,
            cache_size="1MiB",
            rate_limiter=True,
            log_format="ISO8601",
            trace_endpoint=endpoint,
            trace_rate=1,
            extra_args=("--trace-config=opentelemetry,bsp_schedule_delay=50",),
            **FREE_PORTS,
        ) as server,
    ):
        assert [infer(server.http_url, "echo", 1.0) for _ in range(2)] == [1.0, 1.0]
        with urllib.request.urlopen(server.metrics_url) as page:
            assert b'nv_cache_num_hits_per_model{model="echo",version="1"} 1' in page.read()
        until(lambda: server.status()[0].requests == 2, "both are counted, which is a moment after their answers")
        assert [found.alive for found in server.status()] == [1]
        assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ I ", server.log_text(), re.MULTILINE)
        until(lambda: any(b"echo" in body for body in received), "a trace came")


def test_another_server_is_run_with_its_own_backends(
    tmp_path: Path, echo_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out as in NVIDIA's image; here it is the wheel's, with the Python of this environment first on PATH."""
    installation = probe().installation
    assert installation is not None
    root = tmp_path / "opt"
    (root / "bin").mkdir(parents=True)
    shutil.copy2(installation.server, root / "bin" / "tritonserver")
    (root / "lib").symlink_to(installation.libraries)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assemble_backends(root / "backends", installation, python=version, ours=python_backends())
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with Server.embedded(echo_repository, exit_timeout_s=0, tritonserver=str(root), **FREE_PORTS) as server:
        assert infer(server.http_url, "double", 2.0) == 4.0
        assert Path(f"/proc/{server.pid}/exe").resolve() == root / "bin" / "tritonserver"
    shutil.rmtree(root / "backends")
    (root / "backends").mkdir()
    with pytest.raises(ModelLoadError, match=rf"hint: this server's backends are looked for in {root / 'backends'}: "):
        Server.embedded(echo_repository, tritonserver=str(root), **FREE_PORTS)
    with pytest.raises(PreflightError, match="found no program /opt/nowhere"):
        Server.embedded(echo_repository, tritonserver="/opt/nowhere", **FREE_PORTS)


def test_an_attached_server_is_asked_and_left_running(server: Server) -> None:
    """It loads no models on demand: that is said, with what to do."""
    with Server.attached(server.http_url, metrics_url=server.metrics_url) as attached:
        assert attached.models() == server.models()
        assert [model.name for model in attached.describe()] == ["double", "echo"]
        assert [entry.name for entry in attached.statistics()] == ["double", "echo"]
        words = r"on demand: its model control is none, or poll\n.*hint: leave out model_control=poll, or none, for up"
        with pytest.raises(ServerError, match=words):
            attached.reload("echo")
        assert attached.wait(0) is None
    assert server.models()
    with pytest.raises(ServerError, match=r"nobody answers at http://127\.0\.0\.1:9;"):
        Server.attached("http://127.0.0.1:9")
    with pytest.raises(ServerError, match=r"grpc://x:1 is no address of a server; give its HTTP port"):
        Server.attached("grpc://x:1")
