"""Event streams, however their bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.links.chunks import Chunks
from tritonforge.load.links.http_stream import HttpStreamLink
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Payload

HEAD = b"HTTP/1.1 %s\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = b'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{"error":"unknown"}'
ANSWER, ERROR = b'data: {"model_name":"m","y":1}\n\n', b'data: {"error":"full"}\n\n'


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


class Heard:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def responded(self, lane: Lane) -> None:
        self.words.append("response")

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        self.words.append(f"end {error}".strip())

    def lost(self, lane: Lane, reason: str) -> None:
        self.words.append("lost")


EXCHANGES = [
    (HEAD % b"200 OK" + chunked(ANSWER, ANSWER), ["response", "response", "end"]),
    (HEAD % b"200 OK" + chunked(ANSWER + ANSWER[:9], ANSWER[9:]), ["response", "response", "end"]),
    (HEAD % b"200 OK" + chunked(), ["end"]),
    (HEAD % b"200 OK" + chunked(ANSWER, ERROR), ["response", "end stream: full"]),
    (HEAD % b"400 Bad Request" + chunked(ERROR), ["end HTTP 400: full"]),
    (HEAD % b"500 No" + chunked(), ["end HTTP 500: a stream without words"]),
    (REFUSED, ["end HTTP 404: unknown"]),
]


@given(st.lists(st.sampled_from(EXCHANGES), max_size=4), st.data())
def test_each_event_is_told_however_the_bytes_are_cut(
    exchanges: list[tuple[bytes, list[str]]], data: st.DataObject
) -> None:
    heard, lane = Heard(), Lane()
    lane.payload = Payload(b"", stream=True)
    link = HttpStreamLink(heard, lane)
    for sent, _ in exchanges:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            if end > start:
                link.data_received(sent[start:end])
    assert heard.words == [word for _, words in exchanges for word in words]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 7), st.booleans())
def test_chunks_are_joined_and_their_end_is_known(parts: list[bytes], step: int, trailer: bool) -> None:
    whole = chunked(*parts)
    if trailer:
        whole = whole[:-2] + b"Server: x\r\n\r\n"
    chunks = Chunks()
    found = b""
    for start in range(0, len(whole), step):
        assert not chunks.ended
        found += chunks.feed(whole[start : start + step])
    assert chunks.ended
    assert found == b"".join(parts)


@pytest.mark.parametrize("data", [b"-5\r\n", b"yes\r\n", b"5" * 70_000, b"0\r\n" + b"a: b\r\n" * 20_000])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes|invalid literal|without an end"):
        Chunks().feed(data)
