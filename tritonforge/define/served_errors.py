"""The error that a model raises on purpose, to be told to the caller."""

from __future__ import annotations

from typing import Literal

__all__ = ["TritonError"]

Code = Literal[
    "INTERNAL", "UNKNOWN", "NOT_FOUND", "INVALID_ARG", "UNAVAILABLE", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED"
]


class TritonError(Exception):
    """Raise it in a model to refuse a request with a message and one of Triton's error codes.

    Any other exception reaches the caller as INTERNAL.
    """

    def __init__(self, message: str, code: Code = "INTERNAL") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
