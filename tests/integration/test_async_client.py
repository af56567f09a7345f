"""The client for event loops against a real Triton, beside the one that blocks."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from client_models import write_client_models
from repositories import FREE_PORTS, renewed

from tritonforge.client import (
    AsyncClient,
    Client,
    ClientError,
    ConnectionOptions,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
)
from tritonforge.dtypes import DTYPES
from tritonforge.server import Server

ONE = np.ones((1, 1), np.float32)
PROTOCOLS = ["http", "grpc"]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    folder: Path = tmp_path_factory.mktemp("async_client_models")
    write_client_models(folder)
    with renewed(lambda: Server.embedded(folder, **FREE_PORTS, exit_timeout_s=0)) as serving:
        yield serving


@pytest.fixture
def served(serving: Callable[[], Server]) -> Server:
    return serving()


@pytest.fixture(params=PROTOCOLS)
def url(request: pytest.FixtureRequest, served: Server) -> str:
    return served.http_url if request.param == "http" else served.grpc_url


def sample(datatype: str) -> np.ndarray:
    if datatype == "BYTES":
        return np.array([["a", "ü", ""], [b"\x00\xff", b"b" * 1000, "c\n"]], object)
    return np.array([[0, 1, 1], [1, 0, 1]]).astype(DTYPES[datatype].numpy)


def test_every_datatype_and_question_gives_what_the_blocking_client_gives(url):
    async def ask() -> None:
        async with AsyncClient(url) as client:
            for datatype in DTYPES:
                name = "STRING" if datatype == "BYTES" else datatype
                array = sample(datatype)
                options = {"request_id": "r", "parameters": {"tenant": "a"}, "version": 1}
                mine = await client.infer("identity", {f"x_{name}": array}, **options)
                theirs = blocking.infer("identity", {f"x_{name}": array}, **options)
                assert mine[0].dtype == theirs[0].dtype
                assert mine[0].flags.writeable
                assert mine[0].tolist() == theirs[0].tolist()
                assert (mine.model, mine.model_version, mine.id) == ("identity", "1", "r")
            assert await client.is_ready("moody")
            assert not await client.is_ready("nope")
            await client.wait_ready("identity", timeout_s=10)
            assert await client.server() == blocking.server()
            assert await client.models() == blocking.models()
            assert await client.describe("identity") == blocking.describe("identity")
            assert await client.metadata("moody") == blocking.metadata("moody")
            assert await client.config("moody") == blocking.config("moody")

    with Client(url) as blocking:
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("model", "inputs", "timeout_s", "wanted"),
    [
        ("nope", {"x": ONE}, 5, ModelNotFound),
        ("moody", {"x": np.ones((9, 1), np.float32)}, 5, InvalidRequest),
        ("moody", {"x": ONE * 0}, 5, InferenceFailed),
        ("moody", {"x": ONE}, 0.3, DeadlineExceeded),
    ],
)
def test_errors_are_those_of_the_blocking_client(url, model, inputs, timeout_s, wanted):
    async def ask() -> ClientError:
        async with AsyncClient(url) as client:
            with pytest.raises(wanted) as caught:
                await client.infer(model, inputs, timeout_s=timeout_s)
            assert (await client.infer("moody", x=ONE * 0.001)).y.shape == (1, 1)
            return caught.value

    mine = asyncio.run(ask())
    with Client(url) as blocking, pytest.raises(wanted) as theirs:
        blocking.infer(model, inputs, timeout_s=timeout_s)
    assert str(mine) == str(theirs.value)


def test_calls_share_few_connections_and_large_tensors_arrive_whole(url):
    arrays = [np.random.default_rng(seed).random((4, 1 << 16), np.float32) for seed in range(12)]

    async def ask() -> list[np.ndarray]:
        options = ConnectionOptions(max_connections=3)
        async with AsyncClient(url, options=options, timeout_s=60) as client:
            results = await asyncio.gather(*[client.infer("identity", x_FP32=array) for array in arrays])
        return [result.y_FP32 for result in results]

    for array, answer in zip(arrays, asyncio.run(ask()), strict=True):
        assert np.array_equal(array, answer)


def test_a_cancelled_task_leaves_the_client_good(url):
    async def ask() -> None:
        async with AsyncClient(url, options=ConnectionOptions(max_connections=1)) as client:
            await client.infer("moody", x=ONE * 0.001)
            slow = asyncio.ensure_future(client.infer("moody", x=ONE))
            waiting = asyncio.ensure_future(client.infer("moody", x=ONE * 0.001))
            await asyncio.sleep(0)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert (await asyncio.wait_for(waiting, 20)).y.shape == (1, 1)

    asyncio.run(ask())


# The first loop ends with its connections open, which asyncio warns of.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_serves_one_loop_after_another(url):
    client = AsyncClient(url)
    for _ in range(2):

        async def ask() -> np.ndarray:
            return (await client.infer("moody", x=ONE * 0.001)).y

        assert asyncio.run(ask()).shape == (1, 1)
    asyncio.run(client.close())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(client.server())
    gc.collect()


def test_a_stream_is_read_and_its_end_cancels_the_rest(served):
    async def ask() -> None:
        async with AsyncClient(served.grpc_url) as client:
            numbers = [r.number.item() async for r in client.stream("counter", count=np.array([5], np.int32))]
            assert numbers == [*range(5)]
            stream = client.stream("counter", count=np.array([1000], np.int32))
            assert (await anext(stream)).number.item() == 0
            await stream.aclose()
            assert (await client.infer("moody", x=ONE * 0.001)).y.shape == (1, 1)
            with pytest.raises(InferenceFailed, match="below zero"):
                async for _ in client.stream("counter", count=np.array([-1], np.int32)):
                    pass
        async with AsyncClient(served.http_url) as http:
            with pytest.raises(InvalidRequest, match=r"gRPC URL, such as grpc://127\.0\.0\.1:8001"):
                await anext(http.stream("counter", count=np.array([1], np.int32)))

    asyncio.run(ask())


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_requests_and_responses_are_the_same(url, compression):
    options = ConnectionOptions(compression=compression)
    array = np.tile(np.arange(8, dtype=np.float32), (4, 5000))

    async def ask() -> np.ndarray:
        async with AsyncClient(url, options=options) as client:
            return (await client.infer("identity", x_FP32=array)).y_FP32

    assert np.array_equal(asyncio.run(ask()), array)
    with Client(url, options=options) as client:
        assert np.array_equal(client.infer("identity", x_FP32=array).y_FP32, array)
