"""What the client and the log are told when the user's code fails."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import CodeType, TracebackType

from .errors import CAUGHT, CODES, InvalidArgument, InvalidResult, Refused, TritonError, named
from .messages import kind_of, sendable, text_of, traceback_of
from .strings import unencodable

__all__ = ["Failures"]

_LONGEST_MESSAGE = 1000
_LONGEST_ANSWER = 4000
"""Characters of an exception's message, and of a `TritonError`'s, that a client gets; the log has all of them."""


class Failures:
    """Tells of the failures of one model, whose own source files are below `roots`.

    `function` is what the model calls: its place is named where the fault is in what it returned. `strings` are its
    outputs of strings: Triton encodes them, as nothing before does, and fails where one can't be UTF-8.
    """

    def __init__(
        self, model: str, *, roots: Sequence[str] = (), function: object = None, strings: Sequence[str] = ()
    ) -> None:
        self._model = model
        self._strings = " or ".join(f'output "{name}"' for name in strings)
        self._roots = tuple(os.path.join(os.path.realpath(root), "") for root in roots)
        self._function = self._place_of_function(function)

    def describe(self, error: BaseException) -> tuple[str, str]:
        """Give the message and the error code that a client gets.

        The message has the innermost line of the user's own code: `ValueError: no rows  (fraud.py:27 in normalize)`.
        A `TritonError` of the user's is passed on as it is. What is very long is cut. It never raises, whatever
        the user's class makes of its attributes.
        """
        try:
            message, code = self._describe(error)
            return sendable(str(message)), next((known for known in CODES if code == known), "INTERNAL")
        except CAUGHT:
            return self.summarize(error), "INTERNAL"

    def _describe(self, error: BaseException) -> tuple[str, str]:
        if isinstance(error, TritonError):
            owner = error.model or (self._model if isinstance(error, Refused) else "")
            said = error.message if error.message.strip() else self._wordless(error)
            return _cut(named(owner, said) if owner else said, _LONGEST_ANSWER), error.code
        if isinstance(error, InvalidResult):
            place = self._place_of_function(error.function) if error.model else self._function
            return self._at(f"{error.model or self._model}: {error}", place), "INTERNAL"
        if isinstance(error, UnicodeEncodeError) and self._strings and not self._place(error):
            return self._at(f"{self._model}: {unencodable(self._strings, error)}", self._function), "INTERNAL"
        if isinstance(error, InvalidArgument):
            return self._at(str(error), self._place(error)), "INTERNAL"
        return self.summarize(error), "INTERNAL"

    def summarize(self, error: BaseException) -> str:
        """Say in one line what was raised, and where in the user's own code. It never raises."""
        text = _cut(text_of(error), _LONGEST_MESSAGE)
        kind = kind_of(error)
        return self._at(f"{kind}: {text}" if text else kind, self._place(error))

    def _wordless(self, error: BaseException) -> str:
        """Say what a refusal without a message is."""
        return self._at(f"the model raised {kind_of(error)} without a message", self._place(error))

    def log(self, error: BaseException, what: str) -> None:
        """Write the whole traceback to the server's log; a `TritonError` is news only where it is cut. Never raise."""
        with suppress(CAUGHT):  # the user's code may have closed the log, say
            if issubclass(type(error), TritonError) and len(text_of(error)) <= _LONGEST_ANSWER:
                return
            lines = _formatted(error, traceback_of(error))
            # In one write, as all instances of all models share this stream.
            sys.stderr.write(sendable(f"{self._model}: {what}\n{lines}"))
            sys.stderr.flush()

    @staticmethod
    def _at(message: str, place: str) -> str:
        return f"{message}  ({place})" if place else message

    def own_traceback(self, error: BaseException) -> str:
        """Format a traceback from the first line of the user's own code on; the whole of it where there is none."""
        tb = traceback_of(error)
        first = tb
        while first is not None and not self._relative(first.tb_frame.f_code):
            first = first.tb_next
        return _formatted(error, first or tb).rstrip()

    def _place(self, error: BaseException) -> str:
        for frame, line in reversed(list(traceback.walk_tb(traceback_of(error)))):
            file = self._relative(frame.f_code)
            if file:
                return f"{file}:{line} in {frame.f_code.co_name}"
        return ""

    def _place_of_function(self, function: object) -> str:
        if function is None:
            return ""
        code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]  # whatever can be called
        code = code or getattr(type(function).__call__, "__code__", None)
        if not isinstance(code, CodeType):
            return ""
        file = self._relative(code)
        return f"{file}:{code.co_firstlineno} {code.co_name}" if file else ""

    def _relative(self, code: CodeType) -> str:
        """Give the file of some code, relative to the root that it is below; empty where it is not the user's."""
        file = os.path.realpath(code.co_filename)
        return next((file[len(root) :] for root in self._roots if file.startswith(root)), "")


def _formatted(error: BaseException, tb: TracebackType | None) -> str:
    """Format a traceback; that of an exception whose class lets nobody look at it has its lines and its name alone."""
    try:
        return "".join(traceback.format_exception(type(error), error, tb))
    except CAUGHT:
        return "".join([*traceback.format_tb(tb), f"{kind_of(error)}: {text_of(error)}\n"])


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters; the server's log has all)"
