"""Errors of the runtime, and `TritonError`, which the user's code raises to choose what the client is told."""

from __future__ import annotations

from difflib import get_close_matches

from .messages import sendable

__all__ = [
    "CAUGHT",
    "CODES",
    "InvalidArgument",
    "InvalidResult",
    "InvalidText",
    "LoadError",
    "Refused",
    "TritonError",
    "named",
]

CODES = (
    "INTERNAL",
    "UNKNOWN",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
)
"""The error codes that Triton's Python backend can send."""


CAUGHT = BaseException
"""What the user's code may raise without harm to other requests: anything, as a call of `sys.exit` is a mistake like
any other, and a request whose error nobody catches may never be answered."""


class TritonError(Exception):
    """An answer to one request: the client gets `message` as it is, with Triton's error `code`.

    Of a `model` that another one called, its name stands before what the client gets, and not in what the caller sees.

    Raises:
        ValueError: the code is none of Triton's.
    """

    model = ""

    def __init__(self, message: str, code: str = "INTERNAL") -> None:
        if code not in CODES:
            close = get_close_matches(str(code).upper(), CODES, n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"{code!r} is none of Triton's error codes, {', '.join(CODES)}{guess}")
        self.message = str(message)  # it may be the exception that it tells of
        super().__init__(self.message)
        self.code = code


class Refused(TritonError):
    """A refusal of the runtime's own; who tells the client puts the model's name before it."""


class InvalidText(Refused):
    """An input that should be text isn't UTF-8."""


class InvalidArgument(ValueError):
    """What the user's code calls a model with, inside another one, doesn't match its inputs; the message names it.

    A ValueError, as what eager calls raise is.
    """


class InvalidResult(Exception):
    """What the user's function returned doesn't match the model's outputs.

    Of a model that another one called, `model` is its name and `function` what returned it.
    """

    model = ""
    function: object = None


class LoadError(Exception):
    """A model can't be loaded; the message ends with the user's own part of the traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(sendable(message))  # of any other, Triton's stub dies


def named(model: str, message: str) -> str:
    """Put a model's name before a message that doesn't begin with it."""
    return message if message.startswith(f"{model}: ") else f"{model}: {message}"
