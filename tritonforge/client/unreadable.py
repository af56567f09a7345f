"""What is wrong with an answer that can't be read, in words: Python's own tell of its types, not of the answer."""

from __future__ import annotations

import json

from tritonforge.client.message import Buffer

__all__ = ["quoted", "what_is_wrong"]

_LONGEST_QUOTE = 200


def quoted(data: Buffer, longest: int = _LONGEST_QUOTE) -> str:
    """Quote the start of what came, as the text that it may be."""
    return repr(bytes(data[:longest]).decode("utf-8", "replace"))


def what_is_wrong(error: Exception) -> str:
    """Say it by what reading the answer raised. A ValueError has words of its own."""
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, RecursionError):
        return "its JSON is nested too deeply"
    if isinstance(error, (TypeError, AttributeError, LookupError)):
        return "its JSON has another form"
    return str(error)
