"""`async` models in the real server: calls of one instance at once, streams, pipelines; and warm-up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import async_definitions as definitions
import numpy as np
import pytest
from repositories import until

from tritonforge.build import build
from tritonforge.client import Client, ClientError
from tritonforge.server import Server
from tritonforge.testing import ModelError, load_model

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asynchronous") / "model_repository"
    build([Path(definitions.__file__)], folder)
    return folder


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[Client]:
    with (
        Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server,
        Client(server.grpc_url) as connected,
    ):
        yield connected


def eager(definition: Any, x: np.ndarray) -> np.ndarray:
    async def call() -> Any:
        return await definition(x)

    return asyncio.run(call())  # type: ignore[no-any-return]


def test_one_instance_takes_a_call_while_another_waits(client: Client) -> None:
    """The first of two calls is answered only if the second gets in before."""
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda value: client.infer("meet", x=X + value)["output"], range(2)))

    for value, answer in enumerate(answers):
        np.testing.assert_array_equal(answer, (X + value) * 2)


@pytest.mark.parametrize("name", ["chained", "fused_chained", "bls_chained"])
def test_a_pipeline_is_its_eager_self(client: Client, name: str) -> None:
    definition = getattr(definitions, name)
    np.testing.assert_array_equal(client.call(definition, x=X), eager(definition, X))


@pytest.mark.parametrize("x", [X, X * 0 + 0.1], ids=["straight", "branched"])
def test_a_body_that_branches_between_awaited_calls(client: Client, x: np.ndarray) -> None:
    np.testing.assert_array_equal(client.call(definitions.routed, x=x), eager(definitions.routed, x))


def test_many_at_once_are_answered_each_with_its_own(client: Client) -> None:
    inputs = [np.full((1, 3), value, np.float32) for value in range(40)]
    with ThreadPoolExecutor(20) as pool:
        for name in ("double", "bls_chained"):
            factor = {"double": 2, "bls_chained": 5}[name]
            answers = pool.map(lambda x, name=name: client.infer(name, x=x)["output"], inputs)
            for x, answer in zip(inputs, answers, strict=True):
                np.testing.assert_array_equal(answer, x * factor)


def test_one_bad_request_fails_alone(client: Client) -> None:
    def call(value: int) -> Any:
        try:
            return client.infer("double", x=np.full((1, 2), value, np.float32))["output"][0, 0]
        except ClientError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, [1, -1, 3, 4, -2, 6, 7, 8]))

    assert [answer for answer in answers if not isinstance(answer, str)] == [2, 6, 8, 12, 14, 16]
    assert all("ValueError: negative  (async_definitions.py:" in answers[place] for place in (1, 4))


def test_async_streams_run_side_by_side(client: Client) -> None:
    def left(start: int) -> list[int]:
        return [result["output"].item() for result in client.stream("countdown", start=np.array([start]))]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(left, range(8)))

    assert answers == [list(range(start, 0, -1)) for start in range(8)]


def test_a_call_that_is_not_awaited_holds_no_other_request_up(client: Client) -> None:
    """The second comes while the first one's call is under way, and the first goes on only when it is answered."""
    number = os.getpid() + 1000
    first, mark = np.full((1, 3), number, np.float32), definitions.held_mark(number)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.call, definitions.holding, x=first)
        deadline = time.monotonic() + 20
        while not mark.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        np.testing.assert_array_equal(client.call(definitions.holding, x=X + 1), (X + 1) * 2)
        mark.unlink()
        np.testing.assert_array_equal(slow.result(), first * 2)


def test_streams_of_nothing(client: Client) -> None:
    """A request may have no elements at all, of a model that isn't batched; so may a response."""
    for definition in (definitions.prefixes, definitions.suffixes):
        given = [answer.tolist() for answer in client.stream(definition, x=np.empty(0, np.float32))]
        assert given == [[]]
        assert [len(answer) for answer in client.stream(definition, x=X[0])] == [3, 2, 1, 0]


def test_warm_up_runs_before_the_model_is_ready(client: Client) -> None:
    assert client.infer("warmed", x=X)["output"][0].tolist() == [2, 2, 2, 2]


def test_a_test_needs_no_server(repository: Path) -> None:
    with load_model(repository / "double") as model:
        good, bad, other = model.infer_together([{"x": X}, {"x": -X}, {"x": X + 1}])
        assert isinstance(bad, ModelError)
        np.testing.assert_array_equal(good["output"], X * 2)  # type: ignore[index]
        np.testing.assert_array_equal(other["output"], X * 2 + 2)  # type: ignore[index]
    with load_model(repository / "countdown") as model:
        given = [response["output"].item() for response in model.stream(start=np.array([3]))]  # type: ignore[index]
        assert given == [3, 2, 1]


WAITING = """
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from tritonforge import model

FOLDER = Path({folder!r})
X = Float32[np.ndarray, "1"]


async def wait(name: str) -> None:
    (FOLDER / name).touch()
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)


@model
async def once(x: X) -> X:
    await wait("once")
    return x * 2


@model
async def stream(x: X) -> AsyncIterator[X]:
    await wait("stream")
    yield x * 2
"""


def test_calls_under_way_finish_when_their_model_is_unloaded(tmp_path: Path) -> None:
    """As those of other models do: Triton (24.10) ends the model's process after them."""
    (tmp_path / "serving.py").write_text(WAITING.format(folder=str(tmp_path)), encoding="utf-8")
    build([tmp_path / "serving.py"], tmp_path / "repository")
    x = np.ones(1, np.float32)
    with (
        Server.embedded(
            tmp_path / "repository",
            model_control="explicit",
            http_port=0,
            grpc_port=0,
            metrics_port=0,
            exit_timeout_s=0,
        ) as server,
        Client(server.grpc_url) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        once = pool.submit(client.infer, "once", x=x)
        stream = pool.submit(lambda: list(client.stream("stream", x=x)))
        try:
            until(lambda: (tmp_path / "once").exists() and (tmp_path / "stream").exists(), "both wait")
            server.unload("once")
            server.unload("stream")
            assert not client.is_ready("once")
            assert not client.is_ready("stream")
        finally:
            (tmp_path / "go").touch()
        assert once.result()["output"].tolist() == [2]
        assert [answer["output"].tolist() for answer in stream.result()] == [[2]]
