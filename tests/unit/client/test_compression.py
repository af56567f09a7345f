"""Compressed bodies, made and read piece by piece."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.client import AsyncClient, Client, ConnectionOptions, DeadlineExceeded
from tritonforge.client.deadline import Deadline
from tritonforge.client.http.compression import finish_steps, finish_steps_beside, packing, unpacking

from .fault_server import ANSWER, ANSWER_BODY, FaultServer, Peer
from .small_servers import CONFIG, METADATA, answer_question, ok

LARGE = np.random.default_rng(0).bytes((1 << 19) + 1)
"""More than two of the pieces in which a body is compressed, and more than a loop compresses by itself."""

PLAIN = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@pytest.mark.parametrize("encoding", PLAIN)
@given(parts=st.lists(st.sampled_from([b"", b"a", bytes(1 << 18), bytes(1 << 20), LARGE]), max_size=3))
def test_what_is_packed_is_what_others_unpack_and_so_does_it_here(encoding, parts):
    packed = finish_steps(packing(parts, encoding), Deadline(60))
    assert PLAIN[encoding](packed) == b"".join(parts)
    assert finish_steps(unpacking(packed, encoding), Deadline(60)) == b"".join(parts)
    assert asyncio.run(finish_steps_beside(packing(parts, encoding), Deadline(60))) == packed
    assert asyncio.run(finish_steps_beside(unpacking(packed, encoding), Deadline(60))) == b"".join(parts)


@pytest.mark.parametrize("data", [b"x", b"", gzip.compress(LARGE)[:-1]])
def test_what_is_not_packed_is_told(data):
    with pytest.raises(zlib.error):
        finish_steps(unpacking(data, "gzip"), Deadline(60))
    with pytest.raises(zlib.error):
        asyncio.run(finish_steps_beside(unpacking(data, "gzip"), Deadline(60)))
    with pytest.raises(ValueError, match="its encoding is 'br', which nobody asked for"):
        finish_steps(unpacking(data, "br"), Deadline(60))


def test_a_small_answer_that_grows_large_is_read_in_pieces():
    bomb = gzip.compress(bytes(1 << 24))
    assert max(len(part) for part in unpacking(bomb, "gzip")) < 1 << 19


def endless() -> Iterator[bytes]:
    while True:
        yield b"x"


def test_no_step_is_done_past_the_deadline():
    with pytest.raises(TimeoutError):
        finish_steps(endless(), Deadline(0.01))
    with pytest.raises(TimeoutError):
        asyncio.run(finish_steps_beside(endless(), Deadline(0.01)))


def test_a_loop_goes_on_meanwhile():
    async def main() -> None:
        task = asyncio.ensure_future(finish_steps_beside(endless(), Deadline(60)))
        turns = 0
        while turns < 10:
            await asyncio.sleep(0)
            turns += 1
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())


def serve_packed(peer: Peer) -> None:
    """Serve the model "m", which answers compressed requests with compressed answers."""
    while request := peer.request():
        if request.startswith(b"GET"):
            answer_question(peer, request)
            continue
        head, _, body = request.partition(b"\r\n\r\n")
        assert b"\r\nContent-Encoding: gzip\r\n" in head
        assert gzip.decompress(body).endswith(np.ones(2, np.float32).tobytes())
        packed = gzip.compress(ANSWER.partition(b"\r\n\r\n")[2])
        peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d"
            b"\r\n\r\n%b" % (len(ANSWER_BODY), len(packed), packed)
        )


def test_both_clients_compress_what_they_send_and_read_what_is():
    options = ConnectionOptions(compression="gzip")
    x = np.ones(2, np.float32)

    async def main(url: str) -> None:
        async with AsyncClient(url, options=options) as client:
            assert (await client.infer("m", x=x)).y.tolist() == [1, 2]

    with FaultServer(serve_packed) as server:
        with Client(server.url, options=options) as client:
            assert client.infer("m", x=x).y.tolist() == [1, 2]
        asyncio.run(main(server.url))


def test_to_compress_takes_no_longer_than_a_call_may():
    options = ConnectionOptions(compression="gzip")
    x = np.ones((1 << 24,), np.float32)

    async def main(url: str) -> None:
        async with AsyncClient(url, options=options, shared_memory=False) as client:
            await client.describe("m")
            with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.03 s"):
                await client.infer("m", x=x, timeout_s=0.03)

    sent: list[bytes] = []
    wide = {**METADATA, "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}]}

    def serve_any_size(peer: Peer) -> None:
        while request := peer.request():
            sent.append(request[:4])
            peer.send(ok(json.dumps(CONFIG if b"/config" in request else wide).encode()))

    with FaultServer(serve_any_size) as server:
        with Client(server.url, options=options, shared_memory=False) as client:
            client.describe("m")
            with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.03 s"):
                client.infer("m", x=x, timeout_s=0.03)
        asyncio.run(main(server.url))
    assert set(sent) == {b"GET "}
