"""The common call in one piece: it gives what the layers give, whatever the server does."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, ConnectionOptions, Result, Retries, ServerUnavailable
from tritonforge.client.errors import ClientError
from tritonforge.client.http import connection
from tritonforge.client.reliable.transport import ReliableTransport

from .fault_server import ANSWER, ANSWER_BODY, FaultServer, Peer, answer_all

METADATA = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [3]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [2]}],
}
X = np.arange(3, dtype=np.float32)
WARM_UP = 2
"""Calls until the third is a common one: the first is checked, of the second it is kept how it was written."""
LEARNED = 3
"""Calls until an answer is looked at as it comes from the socket: of the third it is kept what it looks like."""


def described(answer: bytes) -> bytes:
    """Make an answer of its JSON."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)


def answer(header: dict | bytes, data: bytes = b"\0\0\x80?\0\0\0@", size: int | str | None = None) -> bytes:
    """Make the answer to an inference, its header said to have a `size`."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    said = str(len(text) if size is None else size).encode()
    head = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (said, len(text) + len(data)) + text + data


def output(name: str = "y", datatype: str = "FP32", shape: tuple[int, ...] = (2,), size: int = 8, **more) -> dict:
    """Describe one output of an answer."""
    return {"name": name, "datatype": datatype, "shape": list(shape), "parameters": {"binary_data_size": size}, **more}


def response(*outputs: dict, **more) -> dict:
    return {"model_name": "m", "model_version": "3", "outputs": list(outputs), **more}


Odd = bytes | tuple[bytes, ...] | None
"""An answer, in pieces where it comes in several; None: there is none, the connection is closed."""


class Server(FaultServer):
    """Serves the model, but answers one inference after the warm-up as it is told; None: it closes the connection."""

    def __init__(self, odd: Odd, metadata: dict = METADATA, warm_up: int = WARM_UP) -> None:
        self.inferences = 0
        self._warm_up = warm_up
        self._odd, self._metadata = odd, metadata
        self._counting = threading.Lock()
        super().__init__(self._behave)

    def _behave(self, peer: Peer) -> None:
        while request := peer.request():
            if b"/infer" not in request:
                known = b"/config" not in request
                peer.send(described(json.dumps(self._metadata if known else {}).encode()))
                continue
            with self._counting:
                self.inferences += 1
                odd = self.inferences == self._warm_up + 1
            if not odd:
                peer.send(ANSWER)
            elif self._odd is None:
                return
            else:
                for piece in self._odd if isinstance(self._odd, tuple) else (self._odd,):
                    peer.send(piece)
                    time.sleep(0.02 * (piece is not self._odd))


def outcome(odd: Odd, *, fast: bool, version: str | int = "", warm_up: int = WARM_UP, **options) -> tuple[object, ...]:
    """Tell all that a caller sees of the odd answer, of a call after it, and what the server sees."""
    with Server(odd, warm_up=warm_up) as server, Client(server.url, tracing=False, **options) as client:
        if not fast:
            client._calls.fast = None
        for _ in range(warm_up):
            client.infer("m", x=X, version=version)
        seen: list[object] = []
        for _ in range(2):
            try:
                seen += told(client.infer("m", x=X, version=version, timeout_s=5))
            except ClientError as error:
                seen += told_of_failure(error, server.url)
        return (*seen, server.inferences, server.connections)


async def async_outcome(odd: Odd, *, fast: bool, warm_up: int, **options) -> tuple[object, ...]:
    """Tell the same of a client in an event loop."""
    with Server(odd, warm_up=warm_up) as server:
        async with AsyncClient(server.url, tracing=False, **options) as client:
            if not fast:
                client._calls.async_fast = None
            for _ in range(warm_up):
                await client.infer("m", x=X)
            seen: list[object] = []
            for _ in range(2):
                try:
                    seen += told(await client.infer("m", x=X, timeout_s=5))
                except ClientError as error:
                    seen += told_of_failure(error, server.url)
            return (*seen, server.inferences, server.connections)


def told(result: Result) -> list[object]:
    arrays = {name: (array.dtype.str, array.tolist()) for name, array in result.outputs.items()}
    writable = [array.flags.writeable for array in result]
    return [result.model, result.model_version, result.id, dict(result.parameters), arrays, *writable]


def told_of_failure(error: ClientError, url: str) -> list[object]:
    words = str(error).replace(url, "URL")
    return [type(error), words, error.code, type(error.__cause__), error.target.model]


ODD = {
    "as always": ANSWER,
    "closed": None,
    "an error of the model": b"HTTP/1.1 500 no\r\nContent-Length: 14\r\n\r\n" + b'{"error":"no"}',
    "a refusal": b"HTTP/1.1 400 no\r\nContent-Length: 14\r\n\r\n" + b'{"error":"no"}',
    "the model is gone": b"HTTP/1.1 404 no\r\nContent-Length: 14\r\n\r\n" + b'{"error":"no"}',
    "unavailable": b"HTTP/1.1 503 no\r\nRetry-After: 0\r\nContent-Length: 14\r\n\r\n" + b'{"error":"no"}',
    "closing": ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
    "another head": ANSWER.replace(b"\r\n\r\n", b"\r\nDate: today\r\n\r\n", 1),
    "the head alone at first": (ANSWER[: ANSWER.index(b"\r\n\r\n") + 4], ANSWER[ANSWER.index(b"\r\n\r\n") + 4 :]),
    "in two pieces": (ANSWER[:-3], ANSWER[-3:]),
    "twice": ANSWER + ANSWER,
    "in chunks": (
        b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
        % len(ANSWER_BODY)
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER_BODY) + 8, ANSWER.split(b"\r\n\r\n", 1)[1])
    ),
    "in JSON": described(json.dumps(response({**output(), "parameters": {}, "data": [1.5, 2.5]})).encode()),
    "no HTTP": b"hello\r\n\r\n",
    "no JSON": answer(b"nonsense", size=8),
    "a half": ANSWER[:-4].replace(b"Length: %d\r\n\r\n" % (len(ANSWER_BODY) + 8), b"Length: %d\r\n\r\n" % 60),
    "a header beyond the body": answer(response(output()), size=4000),
    "a header of no length": answer(response(output()), size="-1"),
    "too few bytes": answer(response(output()), data=b"\0\0\0\0"),
    "more bytes": answer(response(output()), data=bytes(12)),
    "a shape of other bytes": answer(response(output(shape=(3,)))),
    "a negative shape": answer(response(output(shape=(-1, -2)))),
    "another shape": answer(response(output(shape=(1, 2)))),
    "another datatype": answer(response(output(datatype="INT64", shape=(1,)))),
    "another output": answer(response(output("w"))),
    "one output more": answer(response(output(), output("w", size=4, shape=(1,))), data=bytes(12)),
    "no output": answer(response(), data=b""),
    "an output twice": answer(response(output(size=4, shape=(1,)), output(size=4, shape=(1,)))),
    "parameters": answer(response(output(), parameters={"took": 3})),
    "another model": answer(response(output(), model_name="n")),
    "another version": answer(response(output(), model_version="4")),
    "an id": answer(response(output(), id="7")),
    "large": answer(response(output(shape=(50_000,), size=200_000)), data=bytes(200_000)),
}


@pytest.mark.parametrize("warm_up", [WARM_UP, LEARNED])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_the_fast_path_gives_what_the_layers_give(odd, warm_up):
    options = {"warm_up": warm_up, "retries": Retries(first_delay_s=0)}
    fast, layers = (outcome(odd, fast=fast, **options) for fast in (True, False))
    assert fast == layers


@pytest.mark.parametrize("warm_up", [WARM_UP, LEARNED])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_the_fast_path_of_a_loop_gives_what_the_layers_give(odd, warm_up):
    options = {"warm_up": warm_up, "retries": Retries(first_delay_s=0)}
    fast, layers = (asyncio.run(async_outcome(odd, fast=fast, **options)) for fast in (True, False))
    assert fast == layers


def test_an_answer_like_the_last_one_is_read_as_it_comes(monkeypatch):
    with Server(ANSWER) as server, Client(server.url, tracing=False) as client:
        for _ in range(LEARNED):
            client.infer("m", x=X)
        monkeypatch.setattr(connection, "read_at_once", lambda _: pytest.fail("its head is read"))
        assert client.infer("m", x=X + 1).y.tolist() == [1, 2]
        assert client.infer("m", x=X, timeout_s=30).y.tolist() == [1, 2]
    assert server.connections == 1


@pytest.mark.parametrize("version", [3, "3", "03"])
def test_the_fast_path_takes_another_version_than_asked_for_as_little_as_the_layers(version):
    fast, layers = (outcome(ODD["another version"], fast=fast, version=version) for fast in (True, False))
    assert fast == layers
    assert fast[0] is ServerUnavailable
    assert "the answer is not of this model: it is of m version 4" in fast[1]


def test_the_fast_path_retries_no_more_than_the_layers():
    options = {"retries": Retries(attempts=1)}
    assert outcome(None, fast=True, **options) == outcome(None, fast=False, **options)
    with Server(None) as server, Client(server.url, tracing=False, **options) as client:
        for _ in range(WARM_UP):
            client.infer("m", x=X)
        with pytest.raises(ServerUnavailable, match="closed before an answer"):
            client.infer("m", x=X)


def test_a_common_call_passes_no_layer(monkeypatch):
    with Server(ANSWER) as server, Client(server.url, tracing=False) as client:
        for _ in range(WARM_UP):
            client.infer("m", x=X)
        monkeypatch.setattr(ReliableTransport, "infer", lambda *_: pytest.fail("it goes through the layers"))
        assert client.infer("m", x=X + 1).y.tolist() == [1, 2]
        assert next(iter(client.map("m", [{"x": X}]))).y.tolist() == [1, 2]


def test_a_common_call_of_a_loop_passes_no_layer(monkeypatch):
    async def main() -> None:
        with Server(ANSWER) as server:
            async with AsyncClient(server.url, tracing=False) as client:
                for _ in range(WARM_UP):
                    await client.infer("m", x=X)
                monkeypatch.setattr(ReliableTransport, "infer", lambda *_: pytest.fail("it goes through the layers"))
                assert (await client.infer("m", x=X + 1)).y.tolist() == [1, 2]
                assert [result.y.tolist() async for result in client.map("m", [{"x": X}])] == [[1, 2]]

    asyncio.run(main())


def test_a_cancelled_common_call_leaves_the_client_good():
    async def main() -> None:
        with Server(b"") as server:  # it answers the third inference with nothing
            async with AsyncClient(server.url, tracing=False) as client:
                for _ in range(WARM_UP):
                    await client.infer("m", x=X)
                call = asyncio.ensure_future(client.infer("m", x=X))
                while server.inferences <= WARM_UP:
                    await asyncio.sleep(0.001)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                assert (await client.infer("m", x=X)).y.tolist() == [1, 2]
            assert server.connections == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    "settings",
    [
        {"options": ConnectionOptions(token=lambda: "t")},
        {"options": ConnectionOptions(compression="gzip")},
        {"metrics": True},
    ],
    ids=["a token asked for each time", "compressed", "observed"],
)
def test_what_differs_from_call_to_call_goes_through_the_layers(settings, monkeypatch):
    passed = []
    through = ReliableTransport.infer

    def note(self, *args, **options):
        passed.append(args)
        return through(self, *args, **options)

    monkeypatch.setattr(ReliableTransport, "infer", note)
    with Server(ANSWER) as server, Client(server.url, tracing=False, **settings) as client:
        for _ in range(4):
            client.infer("m", x=X)
    assert len(passed) == 4


def test_several_servers_take_turns():
    with FaultServer(answer_all) as idle, Server(ANSWER) as one, Server(ANSWER) as other:
        with Client([one.url, other.url], tracing=False) as client:
            for _ in range(6):
                client.infer("m", x=X)
        assert (one.inferences, other.inferences, idle.connections) == (3, 3, 0)


def test_a_timeout_is_said_as_always():
    def outcome_of(fast: bool) -> str:
        with Server(b"") as server, Client(server.url, tracing=False) as client:
            if not fast:
                client._calls.fast = None
            for _ in range(WARM_UP):
                client.infer("m", x=X)
            with pytest.raises(ClientError) as caught:
                client.infer("m", x=X, timeout_s=0.05)
            return repr((type(caught.value), str(caught.value).replace(server.url, "URL")))

    assert outcome_of(fast=True) == outcome_of(fast=False)
    assert "DeadlineExceeded" in outcome_of(fast=True)


def test_wrong_settings_are_refused_after_common_calls_too():
    with Server(ANSWER) as server, Client(server.url, tracing=False) as client:
        for _ in range(WARM_UP + 1):
            client.infer("m", x=X)
        with pytest.raises(ValueError, match="timeout_s is -1"):
            client.infer("m", x=X, timeout_s=-1)
        with pytest.raises(TypeError, match="request_id"):
            client.infer("m", x=X, request_id=None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="version is 'a'"):
            client.infer("m", x=X, version="a")
        assert server.inferences == WARM_UP + 1
