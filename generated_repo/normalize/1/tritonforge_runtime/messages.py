"""Texts of the user's code made such that they can be sent and logged, whatever is in them."""

from __future__ import annotations

__all__ = ["sendable", "text_of"]


def sendable(text: str) -> str:
    r"""Give a text that Triton can send: UTF-8 has no half of a surrogate pair, which becomes `\ud83d`.

    Nor can it have a NUL, at which Triton (24.10) cuts it: that becomes `\x00`.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def text_of(error: BaseException) -> str:
    """Give an exception's own text; a word where its `__str__` fails."""
    try:
        return sendable(str(error)).strip()
    except BaseException as failure:  # which is the user's own, too
        return f"its __str__ raises {type(failure).__name__}"
