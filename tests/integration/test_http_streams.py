"""Generators over HTTP: generate for one response, generate_stream for any number, an error as the last of them."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from repositories import DEADLINE_S, until

from tritonforge.build import build
from tritonforge.server import Server

SERVING = """
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from tritonforge import String, TritonError, model


@model
def words(text: String[np.ndarray, "1"], pause_ms: Int32[np.ndarray, "1"]) -> Iterator[String[np.ndarray, "1"]]:
    try:
        for word in text[0].split():
            if word == "bad":
                raise ValueError("a bad word")
            if word == "refused":
                raise TritonError("not this word", code="UNAVAILABLE")
            yield np.array([word], object)
            time.sleep(pause_ms[0] / 1000)
    finally:
        Path(FOLDER, text[0].split()[0]).touch()
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which each stream that has ended leaves a file, named by its first word."""
    return tmp_path_factory.mktemp("ended")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, ended: Path) -> Iterator[str]:
    project = tmp_path_factory.mktemp("words")
    (project / "http_streams.py").write_text(SERVING.replace("FOLDER", repr(str(ended))))
    build((project / "http_streams.py",), project / "repository")
    sys.modules.pop("http_streams", None)
    with Server.embedded(project / "repository", http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        yield f"{server.http_url}/v2/models/words"


def ask(url: str, method: str, text: str, *, pause_ms: int = 0) -> HTTPResponse:
    request = urllib.request.Request(
        f"{url}/{method}",
        json.dumps({"text": text, "pause_ms": pause_ms}).encode(),
        {"Content-Type": "application/json"},
    )
    answer = urllib.request.urlopen(request, timeout=DEADLINE_S)
    assert isinstance(answer, HTTPResponse)
    return answer


def events(answer: HTTPResponse) -> list[Any]:
    """Read a stream to its end: the word of each event, or its error."""
    with answer:
        lines = [line.removeprefix("data: ") for line in answer.read().decode().splitlines() if line]
    return [found.get("output", found.get("error")) for found in map(json.loads, lines)]


def test_one_response_is_generated(url: str) -> None:
    with ask(url, "generate", "hello") as answer:
        assert json.load(answer)["output"] == "hello"


def test_an_error_is_the_answer_with_the_users_line(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, "generate", "bad")

    assert "ValueError: a bad word  (http_streams.py:17 in words)" in caught.value.read().decode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a b c", ["a", "b", "c"]),
        ("a b bad c", ["a", "b", "ValueError: a bad word  (http_streams.py:17 in words)"]),
        ("a refused b", ["a", "not this word"]),
    ],
)
def test_each_yield_is_an_event_and_an_error_is_the_last(url: str, text: str, found: list[str]) -> None:
    assert events(ask(url, "generate_stream", text)) == found


def test_a_stream_that_is_closed_ends_its_generator(url: str, ended: Path) -> None:
    answer = ask(url, "generate_stream", "left " * 20_000, pause_ms=5)
    assert b"left" in answer.readline()
    assert not (ended / "left").exists()

    answer.close()

    until((ended / "left").exists, "the generator's end")
