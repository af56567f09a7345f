"""The tokens of protobuf's text format, each with its place."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["END", "Token", "TokenError", "tokenize"]

END = "end"
"""The kind of the token that follows the last."""

_TOKEN = re.compile(
    r"""
    (?P<space>  [ \t\r\n\v\f]+ | \#[^\n]* )
  | (?P<name>   [A-Za-z_][A-Za-z0-9_]* )
  | (?P<float>  (?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]? | \d+[eE][+-]?\d+[fF]? | \d+[fF] )
  | (?P<int>    0[xX][0-9a-fA-F]+ | \d+ )
  | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<symbol> . )
    """,
    re.VERBOSE | re.DOTALL,
)


_CURLY_QUOTES = frozenset("“”„‟‘’‚‛«»")
"""What editors of prose make of quotes; Triton takes none of them."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind (name, float, int, string, symbol, end), its text, and where it begins, counted from 1."""

    kind: str
    text: str
    line: int
    column: int


class TokenError(ValueError):
    """A character or string that can't be one; `line` says where."""

    def __init__(self, message: str, line: int, column: int) -> None:
        self.line = line
        self.column = column
        super().__init__(message)


def tokenize(text: str) -> Iterator[Token]:
    """Split a text into tokens; the last is of the kind `END`.

    Raises:
        TokenError: a string that doesn't end on its line or stands between curly quotes, or a number that is none.
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    end = 0
    for match in _TOKEN.finditer(text):
        kind, found = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        line = bisect_right(starts, match.start())
        column = match.start() - starts[line - 1] + 1
        if found in ('"', "'"):
            raise TokenError("a string has no closing quote on its line", line, column)
        if found in _CURLY_QUOTES:
            raise TokenError(f"a string stands between straight quotes, and found {found}", line, column)
        if kind == "int" and not _is_integer(found):
            raise TokenError(f"{found} is no number: one that begins with 0 is octal", line, column)
        yield Token(kind, found, line, column)
        end = line
    yield Token(END, "", end or 1, 1)


def _is_integer(text: str) -> bool:
    return text[:2].lower() == "0x" or not text.startswith("0") or all(digit in "01234567" for digit in text)
