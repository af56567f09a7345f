"""Texts of the user's code made such that they can be sent and logged, whatever is in them."""

from __future__ import annotations

import re
from types import TracebackType

__all__ = ["kind_of", "sendable", "text_of", "traceback_of"]

_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
_UNDECODED = re.compile("[\udc80-\udcff]+")


def sendable(text: str) -> str:
    r"""Give a text that Triton can send: UTF-8 has no half of a surrogate pair, which becomes `\ud83d`.

    Nor can it have a NUL, at which Triton (24.10) cuts it: that becomes `\x00`. So do other control characters, which
    would have their way with the terminal that shows the log; lines and tabs stay. What Python left undecoded of the
    name of a file, as it does in Triton's locale (24.10: ASCII) with all that isn't ASCII, is read as UTF-8.
    """
    text = _UNDECODED.sub(_decoded, text)
    return text.encode("utf-8", "backslashreplace").decode().translate(_ESCAPED)


def _decoded(found: re.Match[str]) -> str:
    try:
        return found[0].encode("ascii", "surrogateescape").decode()
    except UnicodeDecodeError:
        return found[0]


def text_of(error: BaseException) -> str:
    """Give an exception's own text; a word where its `__str__` fails."""
    try:
        return sendable(str(error)).strip()
    except BaseException as failure:  # which is the user's own, too
        return f"its __str__ raises {kind_of(failure)}"


def kind_of(error: BaseException) -> str:
    """Give the name of an exception's class, whatever a metaclass of the user's makes of it."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return sendable(name)


def traceback_of(error: BaseException) -> TracebackType | None:
    """Give an exception's traceback, whatever its class makes of its attributes."""
    found: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return found
