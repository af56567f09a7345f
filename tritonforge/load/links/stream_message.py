"""Messages of a stream of gRPC: errors, which come in a call that succeeds, and those that only end it."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["only_ends", "stream_error"]

_ERROR_MESSAGE = 0x0A
"""The tag of ModelStreamInferResponse.error_message: field 1, text. Left out where it is empty."""
_RESPONSE = 0x12
"""That of its infer_response: field 2, a message."""
_OUTPUTS = 0x2A
"""That of ModelInferResponse.outputs: field 5, messages. All fields of either message have a length."""
_FINAL = b"\x0a\x15triton_final_response\x12\x02\x08\x01"
"""An entry of its parameters that is true: key and value."""


def stream_error(message: bytes | bytearray) -> str:
    """Give the error that a response of a stream has, as `kind: words`; empty for none."""
    if not message or message[0] != _ERROR_MESSAGE:
        return ""
    _, start, end = next(_fields(message, 0, len(message)))
    return f"stream: {message[start:end].decode('utf-8', 'replace')[:200]}"


def only_ends(message: bytes | bytearray) -> bool:
    """Tell whether a message has no output, and that it is the last: a server may send one such that nobody asked for.

    https://github.com/triton-inference-server/server/blob/main/docs/user_guide/decoupled_models.md
    """
    if _FINAL not in message:
        return False
    fields = _fields(message, 0, len(message))
    inner = (_fields(message, start, end) for tag, start, end in fields if tag == _RESPONSE)
    return not any(tag == _OUTPUTS for each in inner for tag, _, _ in each)


def _fields(message: bytes | bytearray, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give the tag of each field between two places of a message, and where its content starts and ends."""
    while position < end:
        tag, size, shift = message[position], 0, 0
        position += 1
        while position < end:
            byte = message[position]
            size |= (byte & 127) << shift
            position, shift = position + 1, shift + 7
            if byte < 128:
                break
        yield tag, position, position + size
        position += size
