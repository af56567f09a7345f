"""The common call over gRPC in one piece: it gives what the layers give, whatever the server does."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from tritonforge.client import AsyncClient, Client, ConnectionOptions, Retries
from tritonforge.client.errors import ClientError
from tritonforge.client.grpc.unary import UnaryCalls
from tritonforge.client.metadata import ServedModel
from tritonforge.client.reliable.transport import ReliableTransport
from tritonforge.client.tensors.kinds import Known
from tritonforge.ir import Signature, TensorSpec

from .fault_server import FaultServer, Peer
from .http2_frames import DATA, END_STREAM, GOAWAY, HEADERS, PING, RST, SETTINGS, WINDOW, frame, trailers, whole
from .small_servers import grpc_server
from .test_fast_path import WARM_UP, told, told_of_failure

X = np.arange(3, dtype=np.float32)


def message(**fields: Any) -> Any:
    """Make an answer, by default y = [0, 1, 2] of the model."""
    answer = pb.ModelInferResponse(**{"model_name": "m", "model_version": "3", **fields})
    if not fields.get("outputs"):
        answer.outputs.add(name="y", datatype="FP32", shape=[3])
    if not answer.raw_output_contents:
        answer.raw_output_contents.append(X.tobytes())
    return answer


def output(name: str = "y", datatype: str = "FP32", shape: tuple[int, ...] = (3,)) -> Any:
    return pb.ModelInferResponse.InferOutputTensor(name=name, datatype=datatype, shape=shape)


USUAL = message()
ODD: dict[str, Any] = {
    "as always": USUAL,
    "an error of the model": grpc.StatusCode.INTERNAL,
    "a refusal": grpc.StatusCode.INVALID_ARGUMENT,
    "the model is gone": grpc.StatusCode.NOT_FOUND,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "too late": grpc.StatusCode.DEADLINE_EXCEEDED,
    "in typed contents": pb.ModelInferResponse(model_name="m", outputs=[output()]),
    "too few bytes": message(raw_output_contents=[bytes(8)]),
    "more bytes": message(raw_output_contents=[bytes(16)]),
    "a negative shape": message(outputs=[output(shape=(-1, -3))]),
    "another shape": message(outputs=[output(shape=(1, 3))]),
    "more rows": message(outputs=[output(shape=(2, 3))], raw_output_contents=[bytes(24)]),
    "another datatype": message(outputs=[output(datatype="INT32")]),
    "an unknown datatype": message(outputs=[output(datatype="INT3")]),
    "another output": message(outputs=[output("w")]),
    "one output more": message(outputs=[output(), output("w")], raw_output_contents=[bytes(12), bytes(12)]),
    "an output twice": message(outputs=[output(), output()], raw_output_contents=[bytes(12), bytes(12)]),
    "contents without an output": message(raw_output_contents=[bytes(12), bytes(12)]),
    "parameters": message(parameters={"took": pb.InferParameter(int64_param=3)}),
    "another model": message(model_name="n"),
    "another version": message(model_version="4"),
    "an id": message(id="7"),
    "large": message(outputs=[output(shape=(50_000,))], raw_output_contents=[bytes(200_000)]),
}


class Odd:
    """Answers one inference after the warm-up as it is told, all others as always."""

    def __init__(self, odd: Any) -> None:
        self.inferences = 0
        self._odd = odd

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.inferences += 1
        if self.inferences != WARM_UP + 1:
            return USUAL
        if isinstance(self._odd, grpc.StatusCode):
            context.abort(self._odd, "no")
        return self._odd


def seen_by(client: Client, url: str, version: str | int = "", calls: int = 2) -> list[object]:
    """Tell all that a caller sees of calls after the warm-up."""
    seen: list[object] = []
    for _ in range(calls):
        try:
            seen += told(client.infer("m", x=X, version=version, timeout_s=5))
        except ClientError as error:
            seen += told_of_failure(error, url)
    return seen


def outcome(odd: Any, *, fast: bool, version: str | int = "", **options: Any) -> tuple[object, ...]:
    """Tell what comes of the odd answer, and of a call after it."""
    served = Odd(odd)
    with grpc_server(served) as url, Client(url, tracing=False, **options) as client:
        if not fast:
            client._calls.fast = None
        for _ in range(WARM_UP):
            client.infer("m", x=X, version=version)
        return (*seen_by(client, url, version), served.inferences)


async def async_outcome(odd: Any, *, fast: bool) -> tuple[object, ...]:
    """Tell the same of a client in an event loop."""
    served = Odd(odd)
    with grpc_server(served) as url:
        async with AsyncClient(url, tracing=False, retries=Retries(first_delay_s=0)) as client:
            if not fast:
                client._calls.async_fast = None
            for _ in range(WARM_UP):
                await client.infer("m", x=X)
            seen: list[object] = []
            for _ in range(2):
                try:
                    seen += told(await client.infer("m", x=X, timeout_s=5))
                except ClientError as error:
                    seen += told_of_failure(error, url)
            return (*seen, served.inferences)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_the_fast_path_gives_what_the_layers_give(odd: Any) -> None:
    fast, layers = (outcome(odd, fast=fast, retries=Retries(first_delay_s=0)) for fast in (True, False))
    assert fast == layers


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_the_fast_path_of_a_loop_gives_what_the_layers_give(odd: Any) -> None:
    fast, layers = (asyncio.run(async_outcome(odd, fast=fast)) for fast in (True, False))
    assert fast == layers


@pytest.mark.parametrize("version", [3, "3", "03"])
def test_another_version_than_asked_for_is_taken_as_little_as_by_the_layers(version: str | int) -> None:
    fast, layers = (outcome(ODD["another version"], fast=fast, version=version) for fast in (True, False))
    assert fast == layers
    assert "the answer is not of this model: it is of m version 4" in str(fast[1])


# What comes over the wire, in pieces for the third call, whose number is 5; then the connection is closed.
PLAIN = b"\0" + struct.pack(">I", USUAL.ByteSize()) + USUAL.SerializeToString()
PIECES: dict[str, list[bytes]] = {
    "as always": [whole(5, PLAIN)],
    "with a window": [whole(5, PLAIN) + frame(WINDOW, 0, 0, struct.pack(">I", 99))],
    "with a ping": [frame(PING, 0, 0, bytes(8)) + whole(5, PLAIN)],
    "in two pieces": [whole(5, PLAIN)[:60], whole(5, PLAIN)[60:]],
    "byte by byte": [bytes([byte]) for byte in whole(5, PLAIN)],
    "in two frames": [
        whole(5, PLAIN).replace(frame(DATA, 0, 5, PLAIN), frame(DATA, 0, 5, PLAIN[:9]) + frame(DATA, 0, 5, PLAIN[9:]))
    ],
    "with the answer to a call that was given up": [whole(3, PLAIN) + whole(5, PLAIN)],
    "closed": [],
    "a half": [whole(5, PLAIN)[:60]],
    "without trailers": [whole(5, PLAIN)[: -len(frame(HEADERS, 0, 5, trailers()))]],
    "of another call": [whole(7, PLAIN)],
    "said to be longer": [whole(5, PLAIN[:4] + bytes([PLAIN[4] + 1]) + PLAIN[5:])],
    "said to be compressed": [whole(5, b"\1" + PLAIN[1:])],
    "no message": [whole(5, b"")],
    "no frames": [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "another status": [whole(5, PLAIN, status="13", message="no")],
    "refused": [frame(RST, 0, 5, struct.pack(">I", 7))],
    "given up": [frame(RST, 0, 5, struct.pack(">I", 2))],
    "leaving": [frame(GOAWAY, 0, 0, struct.pack(">II", 3, 0))],
    "leaving after it": [frame(GOAWAY, 0, 0, struct.pack(">II", 5, 0)) + whole(5, PLAIN)],
}


class Wire(FaultServer):
    """Answers calls one after another; on its first connection the third one in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.calls = 0
        super().__init__(lambda peer: self._serve_calls(peer, pieces), lambda peer: self._serve_calls(peer, None))
        self.url = f"grpc://127.0.0.1:{self.port}"

    def _serve_calls(self, peer: Peer, pieces: list[bytes] | None) -> None:
        peer.send(frame(SETTINGS, 0, 0, b""))
        call = 1
        while data := peer._connection.recv(1 << 16):
            if frame(DATA, END_STREAM, call, b"")[3:] not in data:
                continue
            self.calls += 1
            if call == 2 * WARM_UP + 1 and pieces is not None:
                for piece in pieces:
                    peer.send(piece)
                sent = b"".join(pieces)
                if PLAIN not in sent or sent.endswith(PLAIN):  # it has no end, and gets none
                    return
            else:
                peer.send(whole(call, PLAIN))
            call += 2


SIGNATURE = Signature((TensorSpec("x", "FP32", (3,)),), (TensorSpec("y", "FP32", (3,)),), batched=False)


@contextmanager
def wired(pieces: list[bytes], *, fast: bool, **options: Any) -> Iterator[tuple[Wire, Client]]:
    """Give a server, and a client of it that knows the model: such a server answers no questions."""
    with Wire(pieces) as server, Client(server.url, tracing=False, **options) as client:
        client._calls.catalog.models["m", ""] = Known(ServedModel("m", ("3",), "python", SIGNATURE, 0))
        if not fast:
            client._calls.fast = None
        yield server, client


def wire_outcome(pieces: list[bytes], *, fast: bool, **options: Any) -> tuple[object, ...]:
    with wired(pieces, fast=fast, **options) as (server, client):
        seen = seen_by(client, server.url, calls=WARM_UP + 2)
        return (*seen, server.calls, server.connections)


async def async_wire_outcome(pieces: list[bytes], *, fast: bool) -> tuple[object, ...]:
    with Wire(pieces) as server:
        async with AsyncClient(server.url, tracing=False, retries=Retries(first_delay_s=0)) as client:
            client._calls.catalog.models["m", ""] = Known(ServedModel("m", ("3",), "python", SIGNATURE, 0))
            if not fast:
                client._calls.async_fast = None
            seen: list[object] = []
            for _ in range(WARM_UP + 2):
                try:
                    seen += told(await client.infer("m", x=X, timeout_s=5))
                except ClientError as error:
                    seen += told_of_failure(error, server.url)
        return (*seen, server.calls, server.connections)


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_whatever_comes_over_the_wire_is_taken_as_by_the_layers(pieces: list[bytes]) -> None:
    fast, layers = (wire_outcome(pieces, fast=fast, retries=Retries(first_delay_s=0)) for fast in (True, False))
    assert fast == layers


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_whatever_comes_over_the_wire_of_a_loop_is_taken_as_by_the_layers(pieces: list[bytes]) -> None:
    fast, layers = (asyncio.run(async_wire_outcome(pieces, fast=fast)) for fast in (True, False))
    assert fast == layers


def test_a_call_that_is_dropped_is_retried_no_more_than_by_the_layers() -> None:
    options = {"retries": Retries(attempts=1)}
    fast, layers = (wire_outcome([], fast=fast, **options) for fast in (True, False))
    assert fast == layers
    assert any("closed before an answer" in str(told) for told in fast)


def forbid_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReliableTransport, "infer", lambda *_: pytest.fail("it goes through the layers"))


def test_a_common_call_passes_no_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    with grpc_server() as url, Client(url, tracing=False) as client:
        for _ in range(WARM_UP):
            client.infer("m", x=X)
        forbid_layers(monkeypatch)
        assert client.infer("m", x=X + 1).y.tolist() == [1, 2, 3]
        assert next(iter(client.map("m", [{"x": X}]))).y.tolist() == [0, 1, 2]


def test_a_common_call_of_a_loop_passes_no_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with grpc_server() as url:
            async with AsyncClient(url, tracing=False) as client:
                for _ in range(WARM_UP):
                    await client.infer("m", x=X)
                forbid_layers(monkeypatch)
                assert (await client.infer("m", x=X + 1)).y.tolist() == [1, 2, 3]
                together = await asyncio.gather(*[client.infer("m", x=X + n) for n in range(40)])
                assert [result.y[0] for result in together] == list(range(40))

    asyncio.run(main())


def sent(call: Callable[[Client], object], **options: Any) -> list[tuple[bytes, dict[str, str], float]]:
    """Tell what reaches the server of three calls: the message, the headers, and the time left."""
    came = []

    def note(request: Any, context: grpc.ServicerContext) -> Any:
        headers = {key: value for key, value in context.invocation_metadata() if key != "user-agent"}
        came.append((request.SerializeToString(deterministic=True), headers, context.time_remaining()))
        return USUAL

    with grpc_server(note) as url, Client(url, tracing=False, **options) as client:
        for _ in range(WARM_UP + 1):
            call(client)
    return came


def test_a_common_call_is_sent_as_the_layers_send_it() -> None:
    options = ConnectionOptions(token="t", headers={"X-A": "b"})
    first, *_, last = sent(lambda client: client.infer("m", x=X, timeout_s=7), options=options)
    assert first[:2] == last[:2]
    assert last[1] == {"authorization": "Bearer t", "x-a": "b"}
    assert 5 < last[2] <= 8


def test_an_array_that_is_not_contiguous_is_sent_in_order() -> None:
    apart = np.arange(6, dtype=np.float32)[::2]
    *_, last = sent(lambda client: client.infer("m", x=apart))
    assert pb.ModelInferRequest.FromString(last[0]).raw_input_contents[0] == apart.tobytes()


@pytest.mark.parametrize(
    "settings",
    [
        {"options": ConnectionOptions(token=lambda: "t")},
        {"options": ConnectionOptions(compression="gzip")},
        {"options": ConnectionOptions(keepalive_s=60)},
        {"metrics": True},
    ],
    ids=["a token asked for each time", "compressed", "with keepalive pings", "observed"],
)
def test_what_differs_from_call_to_call_goes_through_the_layers(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = []
    through = ReliableTransport.infer

    def note(self: ReliableTransport, *args: Any, **options: Any) -> Any:
        passed.append(args)
        return through(self, *args, **options)

    monkeypatch.setattr(ReliableTransport, "infer", note)
    with grpc_server() as url, Client(url, tracing=False, **settings) as client:
        for _ in range(4):
            client.infer("m", x=X)
    assert len(passed) == 4


def test_a_message_that_takes_more_than_a_frame_goes_over_grpcio() -> None:
    large = np.zeros(4090, np.float32)
    with grpc_server() as url, Client(url, tracing=False, shared_memory=False) as client:
        for _ in range(4):
            assert client.infer("m", x=large).y.shape == (4090,)


def test_a_common_call_that_our_own_connections_do_not_take_goes_over_grpcio(monkeypatch: pytest.MonkeyPatch) -> None:
    with grpc_server() as url, Client(url, tracing=False) as client:
        for _ in range(WARM_UP):
            client.infer("m", x=X)
        monkeypatch.setattr(UnaryCalls, "call", lambda *_: None)
        assert client.infer("m", x=X + 1).y.tolist() == [1, 2, 3]


def test_a_closed_client_says_so() -> None:
    with grpc_server() as url:
        client = Client(url, tracing=False)
        for _ in range(WARM_UP + 1):
            client.infer("m", x=X)
        client.close()
        with pytest.raises(RuntimeError, match="is closed"):
            client.infer("m", x=X)


def answer_two_and_hold(peer: Peer) -> None:
    peer.send(frame(SETTINGS, 0, 0, b""))
    for call in (1, 3):
        while frame(DATA, END_STREAM, call, b"")[3:] not in peer._connection.recv(1 << 16):
            pass
        peer.send(whole(call, PLAIN))
    peer.hold()


def test_a_timeout_is_said_as_always() -> None:
    def words(*, fast: bool) -> str:
        with (
            FaultServer(answer_two_and_hold) as server,
            Client(f"grpc://127.0.0.1:{server.port}", tracing=False) as client,
        ):
            client._calls.catalog.models["m", ""] = Known(ServedModel("m", ("3",), "python", SIGNATURE, 0))
            if not fast:
                client._calls.fast = None
            for _ in range(WARM_UP):
                client.infer("m", x=X)
            with pytest.raises(ClientError) as caught:
                client.infer("m", x=X, timeout_s=0.05)
            return repr((type(caught.value), str(caught.value).replace(client.url, "URL")))

    assert words(fast=True) == words(fast=False)
    assert "DeadlineExceeded" in words(fast=True)
