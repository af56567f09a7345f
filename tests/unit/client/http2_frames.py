"""HTTP/2 frames as a gRPC server writes them."""

from __future__ import annotations

from tritonforge.hpack import encode_field

DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
BEGINNING = bytes([0x88]) + encode_field("content-type", "application/grpc")
MESSAGE = b"\0\0\0\0\3abc"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def trailers(status: str = "0", message: str = "") -> bytes:
    return encode_field("grpc-status", status) + (encode_field("grpc-message", message) if message else b"")


def whole(stream: int, body: bytes = MESSAGE, status: str = "0", message: str = "") -> bytes:
    return (
        frame(HEADERS, END_HEADERS, stream, BEGINNING)
        + frame(DATA, 0, stream, body)
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers(status, message))
    )
