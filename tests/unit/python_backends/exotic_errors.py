"""What a user's code may raise that can't be sent as it is, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tritonforge_runtime.errors import TritonError

__all__ = ["exotic"]


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("has no words")


class Base(BaseException):
    pass


class Unmade(TritonError):
    def __init__(self, word: str) -> None:
        self.word = word


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]  # as a user's metaclass may have it
        raise RuntimeError("has no name")


class OfNameless(Exception, metaclass=Nameless):
    pass


class Shy(Exception):
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError("shows nothing")


class ShyRefusal(TritonError):
    def __init__(self, word: str) -> None:
        pass

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError("shows nothing")


class SilentNameless(Exception):
    def __str__(self) -> str:
        raise OfNameless


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("is no text")

    strip = startswith = encode = property(lambda self: self.__str__())  # type: ignore[assignment]


def broken(error: TritonError) -> TritonError:
    error.code = "BROKEN"
    return error


def unspoken(error: TritonError) -> TritonError:
    error.message = Text("told")
    return error


RAISED: dict[str, tuple[Callable[[], BaseException], str]] = {
    "half": (lambda: ValueError("odd \ud83d word"), r"ValueError: odd \ud83d word"),
    "half refused": (lambda: TritonError("unknown \ud83d"), r"unknown \ud83d"),
    "silent": (Silent, "Silent: its __str__ raises RuntimeError"),
    "base": (lambda: Base("own"), "Base: own"),
    "generator": (lambda: GeneratorExit("left"), "GeneratorExit: left"),
    "nul": (lambda: ValueError("a\0b"), r"ValueError: a\x00b"),
    "number": (lambda: TritonError(404), "404"),  # type: ignore[arg-type]  # as users write it
    "error": (lambda: TritonError(ValueError("as it is")), "as it is"),  # type: ignore[arg-type]
    "unmade": (lambda: Unmade("odd"), "Unmade: odd"),
    "nameless": (lambda: OfNameless("told"), "OfNameless: told"),
    "shy": (lambda: Shy("told"), "Shy: told"),
    "shy refusal": (lambda: ShyRefusal("told"), "ShyRefusal: told"),
    "silent nameless": (SilentNameless, "SilentNameless: its __str__ raises OfNameless"),
    "no text": (lambda: unspoken(TritonError("told")), "TritonError: told"),
    "control": (lambda: ValueError("a\x1b[2Jb\rc\x9bd\n\te"), "ValueError: a\\x1b[2Jb\\x0dc\\x9bd\n\te"),
    "wordless": (lambda: TritonError(""), "the model raised TritonError without a message"),
    "blank": (lambda: TritonError(" \n"), "the model raised TritonError without a message"),
    "code": (lambda: broken(TritonError("no such code")), "no such code"),
}

exotic = pytest.mark.parametrize(("make", "said"), RAISED.values(), ids=RAISED)
"""Parametrize by `make`, which makes an exception, and `said`, what is told of it."""
