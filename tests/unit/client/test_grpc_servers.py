"""Both clients against a gRPC server that limits calls, or compresses what nobody asked it to."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from tritonclient.grpc import service_pb2

from tritonforge.client import AsyncClient, Client, DeadlineExceeded, InferenceFailed, InvalidRequest, ServerUnavailable
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.async_transport import AsyncGrpcTransport
from tritonforge.client.grpc.exchange import GrpcExchange
from tritonforge.client.grpc.transport import GrpcTransport
from tritonforge.client.message import Request, Tensor
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.reliable.retries import Retries
from tritonforge.client.url import Endpoint
from tritonforge.hpack import encode_field

from .fault_server import FaultServer, Peer
from .http2_frames import (
    BEGINNING,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    trailers,
)
from .small_servers import Stream, doubled, doubled_once, grpc_server

X = np.array([1, 2], np.float32)
LENGTH = 100_000


def large_and_compressed(request: Any, context: grpc.ServicerContext) -> Any:
    context.set_compression(grpc.Compression.Gzip)
    answer = doubled(request, context)
    answer.outputs[0].shape[:] = [LENGTH]
    answer.raw_output_contents[0] = np.arange(LENGTH, dtype=np.float32).tobytes()
    return answer


LARGE_OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gzip": {"options": ConnectionOptions(compression="gzip")},
    "keepalive": {"options": ConnectionOptions(keepalive_s=60)},
}


def test_many_tasks_keep_within_the_number_of_calls_that_a_server_takes():
    async def main(url: str) -> None:
        async with AsyncClient(url, timeout_s=20, retries=Retries(attempts=1)) as client:
            for _ in range(5):
                answers = await asyncio.gather(*[client.infer("m", x=X) for _ in range(40)])
                assert all(answer.y.tolist() == [1, 2] for answer in answers)

    with grpc_server(options=[("grpc.max_concurrent_streams", 4)]) as url:
        asyncio.run(main(url))


@pytest.mark.parametrize("shape", ["small", "large"])
def test_an_answer_that_nobody_asked_to_compress_is_read(shape):
    x = X if shape == "small" else np.zeros(1 << 14, np.float32)

    async def main(url: str) -> np.ndarray:
        async with AsyncClient(url, timeout_s=20) as client:
            return (await client.infer("m", x=x)).y

    with grpc_server(large_and_compressed) as url:
        with Client(url, timeout_s=20) as client:
            found = client.infer("m", x=x).y
        for y in (found, asyncio.run(main(url))):
            assert np.array_equal(y, np.arange(LENGTH))


class Refusing:
    """Ends each call with this frame, made of its number; `calls` counts them."""

    def __init__(self, ending: Callable[[int], bytes]) -> None:
        self.calls = 0
        self._ending = ending

    def __call__(self, peer: Peer) -> None:
        peer.send(frame(SETTINGS, 0, 0, b""))
        data, stream = b"", 1
        while came := peer._connection.recv(1 << 16):
            data += came
            while frame(DATA, END_STREAM, stream, b"")[3:] in data:
                self.calls += 1
                peer.send(self._ending(stream))
                stream += 2


def refuse(stream: int) -> bytes:
    return frame(RST, 0, stream, struct.pack(">I", 7))


def leave(stream: int) -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))


@pytest.mark.parametrize(
    ("ending", "words", "most"),
    [
        (refuse, "the server has refused the call unread, as one does that has as many as it takes", 8),
        (leave, "the server is closing the connection, and has not taken the call", 2),
    ],
)
def test_a_server_that_takes_no_call_is_asked_a_few_times_and_was_sent_none(ending, words, most):
    refusing = Refusing(ending)
    request = Request("m", (Tensor("x", "FP32", (2,), X.tobytes()),))

    async def main(endpoint: Endpoint) -> None:
        transport = AsyncGrpcTransport(endpoint)
        with pytest.raises(ServerUnavailable, match=words) as caught:
            await transport.infer(request, Deadline(20))
        assert not caught.value.sent
        await transport.close()

    with FaultServer(refusing) as server:
        endpoint = Endpoint("grpc", "127.0.0.1", server.port)
        transport = GrpcTransport(endpoint)
        with pytest.raises(ServerUnavailable, match=words) as caught:
            transport.infer(request, Deadline(20))
        assert not caught.value.sent
        assert refusing.calls <= most
        transport.close()
        refusing.calls = 0
        asyncio.run(main(endpoint))
        assert refusing.calls <= most


def test_where_one_server_refuses_all_calls_another_has_them_and_none_is_a_retry():
    with FaultServer(Refusing(refuse)) as server, grpc_server() as url:
        urls = [f"grpc://127.0.0.1:{server.port}", url]
        with Client(urls, timeout_s=20, retries=Retries(attempts=2, budget=0, burst=0)) as client:
            assert all(client.infer("m", x=X).y.tolist() == [1, 2] for _ in range(4))


def test_a_server_that_takes_other_calls_is_asked_again_for_as_long():
    form = GrpcExchange(Endpoint("grpc", "h", 1), ConnectionOptions())
    refusal = grpc.RpcError()
    refusal.details = lambda: "Received RST_STREAM with error code 7"
    with pytest.raises(grpc.RpcError):
        form.pause_after(refusal, Deadline(20), 5)
    form.taken_at = Deadline(20).began
    assert form.pause_after(refusal, Deadline(20), 5) <= 0.2


def late(request: Any, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the model took too long")


def simply_late(request: Any, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


@pytest.mark.parametrize(("infer", "words"), [(late, "the model took too long"), (simply_late, "Deadline Exceeded")])
@pytest.mark.parametrize("size", [2, 1 << 14])
def test_a_server_that_gives_a_call_up_has_its_own_words(infer, words, size):
    with (
        grpc_server(infer) as url,
        Client(url, timeout_s=20) as client,
        pytest.raises(DeadlineExceeded, match=f"the server gave the call up as too late: {words}") as caught,
    ):
        client.infer("m", x=np.zeros(size, np.float32))
    assert caught.value.code == "DEADLINE_EXCEEDED"


def renamed(request: Any, context: grpc.ServicerContext) -> Any:
    answer = doubled(request, context)
    answer.outputs[0].name = "z"
    return answer


def test_an_output_of_another_name_than_the_models_is_told():
    words = "the model's answer is not what the server says of the model: it has an output 'z'; declared are y"

    async def main(url: str) -> None:
        async with AsyncClient(url, timeout_s=20) as client:
            with pytest.raises(InferenceFailed, match=words):
                await client.infer("m", x=X)

    with grpc_server(renamed) as url:
        asyncio.run(main(url))
        with Client(url, timeout_s=20) as client, pytest.raises(InferenceFailed, match=words):
            client.infer("m", x=X)


BAD_KEY = encode_field("Bad Key", "1")
ODD_ENDS = {
    "no message": (BEGINNING, trailers(), "the answer has no message"),
    "no status": (BEGINNING, b"", "No status received"),
    "a key that is none": (BEGINNING + BAD_KEY, trailers(), "Illegal header key"),
}


def answering_oddly(first: bytes, last: bytes) -> Callable[[Peer], None]:
    """Answer each call on the connection with two header blocks."""

    def behave(peer: Peer) -> None:
        peer.send(frame(SETTINGS, 0, 0, b""))
        data, stream = b"", 1
        while came := peer._connection.recv(1 << 16):
            data += came
            while frame(DATA, END_STREAM, stream, b"")[3:] in data:
                peer.send(frame(HEADERS, END_HEADERS, stream, first))
                peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, last))
                stream += 2

    return behave


@pytest.mark.parametrize(("first", "last", "words"), ODD_ENDS.values(), ids=ODD_ENDS)
def test_a_question_that_is_answered_oddly_is_no_failure_of_a_model(first, last, words):
    once: dict[str, Any] = {"timeout_s": 20, "retries": Retries(attempts=1)}

    async def ask_in_loop(url: str) -> str:
        async with AsyncClient(url, **once) as client:
            with pytest.raises(ServerUnavailable, match=words) as caught:
                await client.metadata("m")
            return caught.value.code

    def ask(url: str) -> str:
        with Client(url, **once) as client, pytest.raises(ServerUnavailable, match=words) as caught:
            client.metadata("m")
        code = caught.value.code
        del caught  # as long as somebody has such an error, grpcio 1.85 keeps the connection, and the server waits
        return code

    with FaultServer(answering_oddly(first, last)) as server:
        url = f"grpc://127.0.0.1:{server.port}"
        assert asyncio.run(ask_in_loop(url)) == "UNAVAILABLE"
        assert ask(url) == "UNAVAILABLE"


def test_a_connection_that_can_not_be_read_any_more_is_left():
    first, last, words = ODD_ENDS["a key that is none"]
    once: dict[str, Any] = {"timeout_s": 20, "retries": Retries(attempts=1)}

    async def main(url: str) -> None:
        async with AsyncClient(url, **once) as client:
            for _ in range(3):
                with pytest.raises(ServerUnavailable, match=words):
                    await client.metadata("m")

    with FaultServer(answering_oddly(first, last)) as server:
        url = f"grpc://127.0.0.1:{server.port}"
        asyncio.run(main(url))
        assert server.connections == 3
        with Client(url, **once) as client:
            for _ in range(3):
                with pytest.raises(ServerUnavailable, match=words):
                    client.metadata("m")
        assert server.connections == 6


def test_so_is_one_that_is_for_large_messages_in_a_loop():
    first, last, words = ODD_ENDS["a key that is none"]
    tensor = Tensor("x", "UINT8", (LENGTH,), bytes(LENGTH))

    async def main(port: int) -> None:
        transport = AsyncGrpcTransport(Endpoint("grpc", "127.0.0.1", port), ConnectionOptions(keepalive_s=60))
        for _ in range(3):
            with pytest.raises(ServerUnavailable, match=words):
                await transport.infer(Request("m", (tensor,)), Deadline(20))
        await transport.close()

    def behave(peer: Peer) -> None:
        peer.send(
            frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 30)) + frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30))
        )
        answering_oddly(first, last)(peer)

    with FaultServer(behave) as server:
        asyncio.run(main(server.port))
        assert server.connections == 3


class Ending:
    """Streams that end a while after their final response; `cancelled` of those that were cancelled meanwhile."""

    def __init__(self, answer: Stream) -> None:
        self.cancelled: list[bool] = []
        self._answer = answer

    def __call__(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        gone = Event()
        context.add_callback(gone.set)
        yield from self._answer(requests, context)
        self.cancelled.append(gone.wait(0.2))  # long enough for most that would cancel it


def failing(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    next(requests)
    answer = service_pb2.ModelStreamInferResponse(error_message="no such thing")
    answer.infer_response.parameters["triton_final_response"].bool_param = True
    yield answer


def refusing(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    next(requests)
    yield service_pb2.ModelStreamInferResponse(error_message="no such thing")


def test_a_stream_that_has_had_its_final_response_is_not_cancelled():
    async def main(url: str) -> None:
        async with AsyncClient(url, timeout_s=20) as client:
            assert [result.y.tolist() async for result in client.stream("m", x=X)] == [[1, 2]]

    with grpc_server(stream=(ending := Ending(doubled_once))) as url:
        asyncio.run(main(url))
        with Client(url, timeout_s=20) as client:
            assert [result.y.tolist() for result in client.stream("m", x=X)] == [[1, 2]]
            left = client.stream("m", x=X)
            next(left)
            left.close()
    assert ending.cancelled == [False] * 3


@pytest.mark.parametrize("answer", [failing, refusing])
def test_a_stream_that_has_ended_in_an_error_is_not_cancelled(answer):
    async def main(url: str) -> None:
        async with AsyncClient(url, timeout_s=20) as client:
            with pytest.raises(InferenceFailed, match="no such thing"):
                _ = [result async for result in client.stream("m", x=X)]

    with grpc_server(stream=(ending := Ending(answer))) as url:
        asyncio.run(main(url))
        with Client(url, timeout_s=20) as client, pytest.raises(InferenceFailed, match="no such thing"):
            list(client.stream("m", x=X))
    assert ending.cancelled == [False] * 2


def test_a_stream_with_all_its_responses_may_end_badly():
    def stream(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from doubled_once(requests, context)
        context.abort(grpc.StatusCode.UNAVAILABLE, "it goes down")

    with grpc_server(stream=stream) as url, Client(url, timeout_s=20) as client:
        assert [result.y.tolist() for result in client.stream("m", x=X)] == [[1, 2]]


@pytest.mark.parametrize("options", LARGE_OPTIONS.values(), ids=LARGE_OPTIONS)
def test_requests_that_are_too_large_cost_no_other_call_its_answer(options):
    large = np.random.default_rng(0).random(1 << 20, np.float32)
    with (
        grpc_server(options=[("grpc.max_receive_message_length", 1 << 20)]) as url,
        Client(url, shared_memory=False, **options) as client,
    ):
        for _ in range(6):
            with pytest.raises(InvalidRequest, match="larger than"):
                client.infer("m", x=large)
            assert client.infer("m", x=large[:2]).y.shape == (2,)


@pytest.mark.parametrize("options", LARGE_OPTIONS.values(), ids=LARGE_OPTIONS)
def test_failed_calls_with_large_messages_leave_no_connection(options):
    def fail(request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.INTERNAL, "no")

    large = np.random.default_rng(0).random(1 << 20, np.float32)
    with grpc_server(fail, options=[("grpc.max_receive_message_length", -1)]) as url:
        with Client(url, shared_memory=False, **options) as client:
            client.metadata("m")
            for _ in range(5):
                with pytest.raises(InferenceFailed):
                    client.infer("m", x=large)
            assert connections_to(url) <= 2
        until(lambda: not connections_to(url))


def test_a_stream_of_a_loop_with_a_large_request_gives_each_response():
    large = np.random.default_rng(0).random(1 << 18, np.float32)

    def thrice(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        answer = doubled(next(requests), context)
        for turn in range(3):
            answer.parameters["triton_final_response"].bool_param = turn == 2
            yield service_pb2.ModelStreamInferResponse(infer_response=answer)

    async def main() -> None:
        async with AsyncClient(url, shared_memory=False) as client:
            results = [result.y async for result in client.stream("m", x=large)]
            assert len(results) == 3
            np.testing.assert_array_equal(results[-1], large)
            async for _ in client.stream("m", x=large):
                break
            assert (await client.infer("m", x=X)).y.shape == (2,)

    with grpc_server(stream=thrice, options=[("grpc.max_receive_message_length", -1)]) as url:
        asyncio.run(main())


def connections_to(url: str) -> int:
    port = int(url.rpartition(":")[2])
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.raddr and connection.raddr.port == port
        for connection in psutil.Process().net_connections("tcp")
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
