"""What each peer is asked, and that a wrong answer is not measured; servers are threads of this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from environments import PeerFailed, Running, installed, running
from peers import PEERS, TRITONFORGE, Peer
from tasks import Task, check_answers, request

TASK = Task(
    "digits",
    "two pixels",
    Path(),
    "image",
    "UINT8",
    np.array([[[1, 2]], [[3, 4]]], np.uint8),
    np.array([0, 1]),
    np.array([[0.75, 0.25], [0.125, 0.875]], np.float32),
)


@contextmanager
def answering(*answers: Any) -> Iterator[Running]:
    """Give these answers in turn, whatever is asked."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            data = json.dumps(left.pop(0)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Running(f"http://127.0.0.1:{server.server_port}", (server.server_port,), 0, 0.0)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("peer", "body"),
    [
        (PEERS["litserve"], {"features": [3, 4]}),
        (PEERS["bentoml"], {"features": [[3, 4]]}),
        (
            PEERS["mlserver"],
            {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [3, 4]}]},
        ),
        (TRITONFORGE, {"inputs": [{"name": "image", "shape": [1, 1, 2], "datatype": "UINT8", "data": [3, 4]}]}),
    ],
    ids=lambda value: value.key if isinstance(value, Peer) else "",
)
def test_a_row_is_asked_for_as_the_server_wants_it(peer: Peer, body: Any) -> None:
    asked = request(peer, TASK, row=1)
    assert json.loads(asked.body) == body
    assert asked.expected == {peer.label: (1.0,), peer.probability: (0.125, 0.875)}


def test_answers_are_held_against_eager_pythons() -> None:
    right = [{"label": 0, "probability": [0.75, 0.25]}, {"label": 1, "probability": [0.125, 0.875001]}]
    with answering(*right) as server:
        check_answers(PEERS["litserve"], TASK, server)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"label": 1, "probability": [0.75, 0.25]}, r"row 0: /label is \[1\.\], eager Python says \(0\.0,\)"),
        ({"label": 0, "probability": [0.74, 0.26]}, "row 0: /probability is"),
        ({"label": [0, 0], "probability": [0.75, 0.25]}, "row 0: /label is"),
        ({"detail": "busy"}, "row 0: KeyError: 'label'"),
    ],
)
def test_a_wrong_answer_is_told(answer: Any, words: str) -> None:
    with answering(answer) as server, pytest.raises(PeerFailed, match=words):
        check_answers(PEERS["litserve"], TASK, server)


def test_a_server_that_ends_is_told_with_its_last_words() -> None:
    script = "import os; raise SystemExit('no ' + os.environ['PEER_MODEL'] + ' on ' + os.environ['WHERE'])"
    words = ("python", "-c", script)
    peer = replace(TRITONFORGE, command=words, environment={"WHERE": "{port}"})
    with (
        pytest.raises(PeerFailed, match=r"doesn't answer: no digits on \d+"),
        running(peer, "digits", Path(), workers=1),
    ):
        pass


def test_ours_has_no_requirements_to_tell_of() -> None:
    assert installed(Path(), TRITONFORGE) == {}
