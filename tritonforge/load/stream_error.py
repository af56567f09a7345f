"""Errors of streams, which come in a message of a call that succeeds."""

from __future__ import annotations

__all__ = ["stream_error"]

_ERROR_MESSAGE = 0x0A
"""The tag of ModelStreamInferResponse.error_message: field 1, text. Left out where it is empty."""


def stream_error(message: bytes | bytearray) -> str:
    """Give the error that a response of a stream has, as `kind: words`; empty for none."""
    if not message or message[0] != _ERROR_MESSAGE:
        return ""
    size, shift, position = 0, 0, 1
    while position < len(message):
        byte = message[position]
        size |= (byte & 127) << shift
        shift, position = shift + 7, position + 1
        if byte < 128:
            break
    return f"stream: {message[position : position + size].decode('utf-8', 'replace')[:200]}"
