"""Servers that have the protocol's endpoints and nothing more, or not quite those."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tritonforge.load import (
    Data,
    Environment,
    InvalidLoad,
    Load,
    LoadFailed,
    ModelLoad,
    Point,
    ProfileExport,
    Report,
    ServerGone,
    Session,
    Settings,
    TlsFiles,
)
from tritonforge.load.address import parse_address
from tritonforge.load.observed.control import connect
from tritonforge.report.perf_analyzer import perf_analyzer_csv

TWO = Load("concurrency", 2)
RIGHT = json.dumps({"outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}).encode()
METADATA = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [2]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [2]}, {"name": "z", "datatype": "FP32", "shape": [2]}],
}
PAGES: dict[str, dict[str, Any]] = {
    "/v2": {"name": "plain", "version": "1", "extensions": []},
    "/v2/models/m": METADATA,
}


class Cut(bytes):
    """An answer of which Content-Length tells less than there is."""

    def __len__(self) -> int:
        return super().__len__() - 7


@contextmanager
def serving(
    *answers: bytes, binary: bool = True, idle_s: float | None = None, made: list[object] | None = None
) -> Iterator[str]:
    """Serve the model `m`, whose answers are those in turn, the last one for good; without statistics.

    Without `binary` it refuses requests with tensors that aren't JSON. Connections are closed that are idle for so
    long; `made` gets each.
    """
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = idle_s

        def setup(self) -> None:
            super().setup()
            if made is not None:
                made.append(self.client_address)

        def do_GET(self) -> None:
            self.answer(json.dumps(PAGES.get(self.path, {})).encode(), 200 if self.path in PAGES else 404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if not binary and "Inference-Header-Content-Length" in self.headers:
                self.answer(b'{"error": "no JSON"}', 400)
            else:
                self.answer(left.pop(0) if len(left) > 1 else left[0])

        def answer(self, data: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def measure(url: str, load: Load = TWO, **more: Any) -> Point:
    settings = Settings(url, (ModelLoad("m"),), **{"warmup_s": 0.0, "requests": 20, **more})
    with Session(settings) as session:
        return session.measure(load)


@pytest.mark.parametrize("load", [Load("concurrency", 2), Load("rate", 200)], ids=str)
def test_a_server_without_statistics_is_measured_all_the_same(load: Load) -> None:
    with serving(RIGHT) as url:
        point = measure(url, load)
        told = "the server doesn't have the extension for statistics: its own figures are not told"
        assert (point.requests, point.failed, point.server) == (20, 0, ())
        assert told in point.generator.warnings
        assert told not in measure(url, server_statistics=False).generator.warnings


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "none of the protocol's: an empty body"),
        (b"hello", "none of the protocol's: hello"),
        (b'{"error":"model failed"}', 'none of the protocol\'s: {"error":"model failed"}'),
        (RIGHT.replace(b'"y"', b'"other"'), "has the outputs other; the model has y, z"),
        (b'{"model_name":"m","outputs":[]}', "has no output; the model has y, z"),
    ],
    ids=["empty", "text", "error", "names", "none"],
)
@pytest.mark.parametrize("load", [Load("concurrency", 2), Load("rate", 200)], ids=str)
def test_the_first_answer_is_looked_at(answer: bytes, words: str, load: Load) -> None:
    with serving(answer) as url, pytest.raises(LoadFailed) as error:
        measure(url, load)
    assert words in str(error.value)
    assert "Traceback" not in str(error.value)


def test_connections_that_a_server_closes_idle_are_made_anew_when_they_are_needed() -> None:
    """Each that was used is made once more, and then when a request has none."""
    made: list[object] = []
    with serving(RIGHT, idle_s=0.2, made=made) as url:
        point = measure(url, Load("rate", 3), max_in_flight=8, requests=6)
    assert (point.requests, point.failed) == (6, 0)
    assert len(made) <= 8 + 3 * 6


@pytest.mark.parametrize("load", [Load("concurrency", 1), Load("rate", 200)], ids=str)
def test_an_answer_that_goes_on_after_its_end_has_failed(load: Load) -> None:
    """What its Content-Length cuts off would be taken for the next answer's beginning."""
    with serving(RIGHT, Cut(RIGHT)) as url:
        point = measure(url, load)
    (error,) = point.errors
    assert (point.requests, error.count) == (1, 19)
    assert (error.kind, error.example) == (
        "malformed answer",
        "it goes on after the end that its Content-Length gives",
    )


def test_no_answer_after_the_first_is_looked_at() -> None:
    with serving(RIGHT, b"") as url:
        assert measure(url, Load("concurrency", 1)).requests == 20


@pytest.mark.parametrize(("body", "failed"), [("binary", 20), ("json", 0)])
def test_a_server_that_takes_no_binary_tensors_is_told_with_the_way_without_them(body: str, failed: int) -> None:
    """Where it fails: one that says nothing of the extension may have it all the same."""
    with serving(RIGHT, binary=False) as url:
        point = measure(url, body=body)
    assert point.failed == failed
    told = [warning for warning in point.generator.warnings if "carry them as JSON, with body json" in warning]
    assert len(told) == bool(failed)


def test_shared_memory_that_a_server_lacks_is_told() -> None:
    with serving(RIGHT) as url, pytest.raises(InvalidLoad, match="doesn't have the extension for system shared memory"):
        measure(url, shared_memory="system")


def test_what_a_size_was_taken_for_is_told_beside_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1]}, {"name": "k", "datatype": "FP32", "shape": [2]}]
    monkeypatch.setitem(PAGES, "/v2/models/m", {**METADATA, "inputs": inputs})
    told = "shape seq=3: the server tells no names of dimensions; it was taken for those of x of m"
    with serving(RIGHT) as url:
        settings = Settings(url, (ModelLoad("m", data=Data(shapes={"seq": (3,)})),), warmup_s=0.0, requests=20)
        with Session(settings) as session:
            assert told in session.measure(TWO).generator.warnings


def test_a_version_that_is_not_there_is_told_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = [{"name": name, "version": version} for name, version in (("m", "1"), ("n", "9"), ("m", "3"))]
    monkeypatch.setitem(PAGES, "/v2/models/stats", {"model_stats": stats})
    with serving(RIGHT) as url:
        settings = Settings(url, (ModelLoad("m", "9"),))
        with pytest.raises(LoadFailed, match=f"{url} has no version '9' of m; it serves 1, 3"), Session(settings):
            pass


def test_a_model_without_inputs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "/v2/models/m", {**METADATA, "inputs": []})
    with serving(RIGHT) as url, pytest.raises(LoadFailed, match="m: the server's metadata name no input"):
        measure(url)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "no JSON object"),
        ({"model_stats": 5}, "none of Triton's: model_stats is no list of models with their counts and times"),
        ({"model_stats": [5]}, "model_stats is no list of models"),
        ({"model_stats": [{"version": "1"}]}, "model_stats is no list of models"),
        ({"model_stats": [{"name": "m", "batch_stats": [{"compute_infer": []}]}]}, "model_stats is no list of models"),
        ({"model_stats": [{"name": "m", "inference_count": "lots"}]}, "inference_count is 'lots', which is no number"),
        ({"model_stats": [{"name": "m", "execution_count": float("nan")}]}, "execution_count is nan, which is no"),
        ({"model_stats": [{"name": "m", "inference_stats": {"queue": {"ns": float("inf")}}}]}, "ns is inf, which"),
        ({"model_stats": [{"name": "m", "inference_stats": {"queue": {"count": None}}}]}, "count is None, which"),
    ],
    ids=str,
)
def test_statistics_that_are_none_are_told_with_the_way_without_them(
    answer: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGES, "/v2", {"name": "odd", "version": "1", "extensions": ["statistics"]})
    monkeypatch.setitem(PAGES, "/v2/models/stats", answer)
    without = "; --no-server-statistics, or server_statistics=False, measures without them$"
    with serving(RIGHT) as url:
        with pytest.raises(LoadFailed, match=f"^{url}: its statistics are .*{words}.*{without}"):
            measure(url)
        assert measure(url, server_statistics=False).requests == 20


def test_statistics_that_are_restricted_are_told_with_the_way_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "/v2", {"name": "odd", "version": "1", "extensions": ["statistics"]})

    def refused(_: object) -> dict[str, Any]:
        raise LoadFailed("http://odd/v2/models/stats: HTTP 403: This API is restricted")

    monkeypatch.setattr("tritonforge.load.observed.control._HttpControl.statistics", refused)
    with serving(RIGHT) as url:
        with pytest.raises(LoadFailed, match="restricted; --no-server-statistics, or server_statistics=False"):
            measure(url)
        assert measure(url, server_statistics=False).requests == 20


@pytest.mark.parametrize("asked", [True, False])
def test_a_server_that_counted_nothing_is_told(asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one request, say, that ended before the statistics at the first edge had come."""
    monkeypatch.setitem(PAGES, "/v2", {"name": "odd", "version": "1", "extensions": ["statistics"]})
    monkeypatch.setitem(PAGES, "/v2/models/stats", {"model_stats": []})
    with serving(RIGHT) as url:
        point = measure(url, Load("concurrency", 1), requests=1, server_statistics=asked)
    assert (point.requests, point.server) == (1, ())
    said = any("the server counted no request" in warning for warning in point.generator.warnings)
    assert said is asked


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("counted", "others"), [(100, False), (2000, True)])
def test_what_a_server_says_mostly_of_others_is_in_no_breakdown(
    counted: int, others: bool, streams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of streams, too, whose requests Triton's backends count once (seen in 24.10)."""
    monkeypatch.setattr(Session, "_any_streams", streams)
    monkeypatch.setitem(PAGES, "/v2", {"name": "odd", "version": "1", "extensions": ["statistics"]})
    with serving(RIGHT) as url:
        settings = Settings(url, (ModelLoad("m"),), warmup_s=0.0, requests=100)
        with Session(settings) as session:
            times = {name: {"count": 0, "ns": 0} for name in ("success", "queue")}
            entry = {"name": "m", "version": "1", "inference_stats": times}

            def counts() -> dict[str, Any]:
                found = json.loads(json.dumps(entry))
                times["success"] = {"count": counted, "ns": 1000 * counted}
                return {"model_stats": [found]}

            monkeypatch.setattr(session._control, "statistics", counts)
            point = session.measure(TWO)
    (model,) = point.server
    assert (model.requests, point.server_of_others) == (counted, others)
    assert ("queue" in {step.name for step in point.breakdown}) is not others
    assert point.breakdown
    said = " ".join(point.generator.warnings)
    words = "the server counted 2,000 requests between the windows' edges, and 100 ended here: "
    assert (words in said) is others
    report = Report(settings, Environment({}, {}, ""), 0, (point,))
    row = dict(zip(*(line.split(",") for line in perf_analyzer_csv(report).splitlines()), strict=True))
    empty = [name for name, cell in row.items() if not cell and name not in ("Client Send", "Client Recv")]
    assert [name.partition(" ")[0] for name in empty] == (["Network+Server", *["Server"] * 4] if others else [])


def test_statistics_are_read_at_an_edge_while_figures_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of short windows on a busy machine, where that takes longer than a window."""
    monkeypatch.setitem(PAGES, "/v2", {"name": "odd", "version": "1", "extensions": ["statistics"]})
    monkeypatch.setitem(PAGES, "/v2/models/stats", {"model_stats": []})
    asked: list[float] = []
    in_time: list[bool] = []

    def shown(point: Point) -> None:
        if not in_time:
            before, deadline = len(asked), time.monotonic() + 10
            while len(asked) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            in_time.append(len(asked) > before)

    with serving(RIGHT) as url:
        settings = Settings(url, (ModelLoad("m"),), warmup_s=0.0, window_s=0.3, max_windows=9, stable_windows=9)
        with Session(settings) as session:
            statistics = session._control.statistics

            def counted() -> dict[str, Any]:
                asked.append(time.monotonic())
                return statistics()

            monkeypatch.setattr(session._control, "statistics", counted)
            session.measure(TWO, on_window=shown)
    assert in_time == [True]


@pytest.mark.parametrize(
    ("more", "windows"), [({"stability": 0.0, "max_windows": 6}, 3), ({"duration_s": 0.6, "window_s": 0.1}, 6)]
)
def test_the_export_has_the_requests_of_which_the_figures_are_made(
    more: dict[str, Any], windows: int, tmp_path: Path
) -> None:
    """Of a load that is to be stable, those of its last windows."""
    with serving(RIGHT) as url, ProfileExport(tmp_path / "out.json") as export:
        settings = Settings(url, (ModelLoad("m"),), **{"warmup_s": 0.05, "window_s": 0.1, **more})
        with Session(settings, export=export) as session:
            point = session.measure(TWO)
    assert (len(point.windows), sum(window.measured for window in point.windows)) == (6, windows)
    (found,) = json.loads((tmp_path / "out.json").read_text())["experiments"]
    edges = found["window_boundaries"]
    assert len(edges) == windows + 1
    assert len(found["requests"]) == point.requests
    assert point.requests / (edges[-1] - edges[0]) * 1e9 == pytest.approx(point.request_rate.value)


@pytest.mark.parametrize("more", [{}, {"server_statistics": False}], ids=["statistics", "without"])
def test_a_server_that_is_gone_before_the_first_window_is_over_went_away(
    more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGES, "/v2", {"name": "plain", "version": "1", "extensions": ["statistics"]})
    with ExitStack() as outer:
        with serving(RIGHT) as url:
            session = outer.enter_context(Session(Settings(url, (ModelLoad("m"),), **more)))
        with pytest.raises(ServerGone, match=f"{url}: the server went away: .*refused"):
            session.measure(TWO)


@pytest.mark.parametrize("gone", [False, True])
def test_what_fails_in_the_wait_at_the_end_has_failed(gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the server went away, which broken connections may show."""
    with ExitStack() as served, ExitStack() as measured:
        url = served.enter_context(serving(RIGHT))
        session = measured.enter_context(Session(Settings(url, (ModelLoad("m"),), warmup_s=0.0, duration_s=0.1)))
        stop = session._workers.stop

        def stop_and_fail() -> None:
            stop()
            session._workers.failed = ["timeout: no answer within 0.1 s", "connection: the server closed it"]
            if gone:
                served.close()

        monkeypatch.setattr(session._workers, "stop", stop_and_fail)
        with pytest.raises(ServerGone, match="the server went away") if gone else nullcontext():
            point = session.measure(TWO)
            assert [(error.kind, error.count) for error in point.errors] == [("timeout", 1), ("connection", 1)]
            assert (point.windows[-1].errors, point.unanswered, point.silent) == (2, 0, True)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_says_nothing_is_asked_once(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what a server may lack: it takes the question, and never answers."""
    monkeypatch.setattr("tritonforge.load.observed.control._TIMEOUT_S", 0.2)
    monkeypatch.setattr("tritonforge.load.observed.grpc_control._TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        control = connect(parse_address(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"), {}, TlsFiles())
        with pytest.raises(LoadFailed, match=r"no answer within 0\.2 s|DEADLINE_EXCEEDED|UNAVAILABLE"):
            control.config("m", "")
        control.close()
        if scheme == "http":
            listener.accept()[0].close()
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
