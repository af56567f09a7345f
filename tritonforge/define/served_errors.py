"""The error that a model raises on purpose, to be told to the caller."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal, get_args

__all__ = ["TritonError"]

Code = Literal[
    "INTERNAL", "UNKNOWN", "NOT_FOUND", "INVALID_ARG", "UNAVAILABLE", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED"
]


class TritonError(Exception):
    """Raise it in a model to refuse a request with a message and one of Triton's error codes.

    Any other exception reaches the caller as INTERNAL.

    Raises:
        ValueError: Triton has no such code.
    """

    def __init__(self, message: str, code: Code = "INTERNAL") -> None:
        if code not in get_args(Code):
            close = get_close_matches(str(code).upper(), get_args(Code), n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"{code!r} is none of Triton's error codes, {', '.join(get_args(Code))}{guess}")
        self.message = str(message)  # it may be the exception that it tells of
        super().__init__(self.message)
        self.code = code
