"""Servers that speak no Open Inference Protocol: one request, its answers checked under load."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from tritonforge.load import HttpRequest, InvalidLoad, Load, ModelLoad, Point, Session, Settings
from tritonforge.load.address import parse_address
from tritonforge.load.codec import decode, encode
from tritonforge.load.input.payloads import make_payloads
from tritonforge.load.input.plain_http import pick, prepare_plain

LOAD, COUNT = Load("concurrency", 2), 20


class Handler(BaseHTTPRequestHandler):
    """Doubles `x`; below /chunked in two chunks, below /counting with a number that grows."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    count = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Handler.count += 1
        answer: dict[str, Any] = {"doubled": [2 * x for x in body["x"]], "kind": self.headers["Content-Type"]}
        if self.path == "/counting":
            answer = {"count": Handler.count}
        data = json.dumps(answer).encode()
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            chunks = (data[:5], data[5:], b"")
            self.wfile.write(b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks))
        else:
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def measure(url: str, request: HttpRequest) -> Point:
    settings = Settings(url, (ModelLoad("doubles", request=request),), warmup_s=0.0, requests=COUNT)
    with Session(settings) as session:
        return session.measure(LOAD)


@pytest.mark.parametrize("path", ["/plain", "/chunked"])
def test_right_answers_are_counted(url: str, path: str) -> None:
    """No question of the protocol is asked, and the body of chunks is put together before it is read."""
    point = measure(url, HttpRequest(path, '{"x": [1.5, 2]}', expected={"/doubled": (3.0, 4.0), "/doubled/1": (4.0,)}))
    assert point.errors == ()
    assert point.requests == COUNT
    assert point.server == ()
    assert point.processes is not None


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"/doubled": (3.0, 4.5)}, "expected [3.  4.5]"),
        ({"/doubled": (3.0,)}, "expected [3.]"),
        ({"/missing": (1.0,)}, "can't be read: KeyError: 'missing'"),
    ],
)
def test_wrong_answers_are_errors(url: str, expected: dict[str, tuple[float, ...]], words: str) -> None:
    (error,) = measure(url, HttpRequest("/plain", '{"x": [1.5, 2]}', expected=expected)).errors
    assert error.kind == "wrong answer"
    assert words in error.example


def test_an_answer_that_changes_is_read_each_time(url: str) -> None:
    (error,) = measure(url, HttpRequest("/counting", '{"x": [1]}', expected={"/count": (-1.0,)})).errors
    assert error.count == COUNT


def test_the_servers_processes_may_be_others_than_the_one_that_listens(url: str) -> None:
    model = ModelLoad("doubles", request=HttpRequest("/plain", '{"x": []}'))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with Session(Settings(url, (model,), warmup_s=0.0, requests=COUNT), server_pid=other.pid) as session:
            point = session.measure(LOAD)
        other.communicate(b"\n")
    assert point.processes is not None
    assert point.processes.processes == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings("grpc://host:1", (ModelLoad("m", request=HttpRequest("/")),)), "goes over HTTP"),
        (Settings("http://host:1", (ModelLoad("m", sequence_length=2, request=HttpRequest("/")),)), "no sequence"),
        (
            Settings("http://host:1", (ModelLoad("m", request=HttpRequest("/")),), parameters={"a": 1}),
            "a request of its own is sent as it is written: leave parameters out",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: Settings, words: str) -> None:
    with pytest.raises(InvalidLoad, match=words):
        Session(settings)


def test_a_request_is_written_as_it_stands() -> None:
    address = parse_address("http://host:7/below")
    payload = prepare_plain(address, HttpRequest("/p?q=1", "ü", content_type="text/plain"), {"X-Key": "k"})
    head = ["POST /below/p?q=1 HTTP/1.1", "Host: host:7", "Content-Type: text/plain", "Content-Length: 2", "X-Key: k"]
    assert payload.data.decode() == "\r\n".join([*head, "", "ü"])
    bare = prepare_plain(address, HttpRequest("/", method="GET"), {}).data
    assert bare == b"GET /below/ HTTP/1.1\r\nHost: host:7\r\n\r\n"


def test_pointers_reach_into_arrays_and_odd_names() -> None:
    document = json.dumps([{"a/b": {"~": [[1, 2], [3, 4]]}}]).encode()
    found = pick(document, ["/0/a~1b/~0", "/0/a~1b/~0/1/0"])
    assert np.array_equal(found["/0/a~1b/~0"], [[1, 2], [3, 4]])
    assert found["/0/a~1b/~0/1/0"] == 3


def test_settings_with_a_request_survive_json() -> None:
    request = HttpRequest("/p", "{}", expected={"/a": (1.0, 2.0)})
    settings = Settings("http://host:1", (ModelLoad("m", request=request),))
    assert decode(Settings, json.loads(json.dumps(encode(settings)))) == settings


def test_parameters_survive_json_with_their_types() -> None:
    parameters: dict[str, bool | int | float | str] = {"raw": True, "top": 1, "share": 1.0, "tenant": "1"}
    settings = Settings("http://host:1", (ModelLoad("m"),), parameters=parameters)
    read = decode(Settings, json.loads(json.dumps(encode(settings))))
    assert repr(read.parameters) == repr(parameters)  # 1 is true, and 1.0


def test_requests_of_a_mix_know_whose_they_are() -> None:
    models = tuple(ModelLoad(name, request=HttpRequest(f"/{name}", "{}")) for name in ("a", "b"))
    address = parse_address("http://127.0.0.1:1")
    for chosen, names in ((models, {"a", "b"}), (models[:1], {""})):
        settings = Settings("http://127.0.0.1:1", chosen, (LOAD,))
        payloads = make_payloads(settings, address, {}, {}, None)  # type: ignore[arg-type] # nothing is shared
        assert {payload.model for payload in payloads} == names
        assert all(f"/{payload.model}".encode() in payload.data for payload in payloads)
