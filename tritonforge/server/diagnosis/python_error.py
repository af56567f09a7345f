"""Python tracebacks in Triton's messages: the frames, and the error without them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Frame", "PythonError", "crash_frames", "parse_error"]

_STATUS = re.compile(
    r"^(?:Internal|Invalid argument|Not found|Unavailable|Unsupported|Unknown|Already exists|Cancelled): (?:- )?"
)
_WRAPPED = re.compile(r"^(?:[\w.]+\.)?LoadError: ")
_PLACE = re.compile(r"  \([^()\n]+:\d+ in [^\n]+\)$")
_AT = re.compile(r"^\s+(?P<file>\S.*?)\((?P<line>\d+)\): (?P<function>.+)$", re.MULTILINE)
_FILE = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,? in (?P<function>.+))?$', re.MULTILINE)
_SYNTAX = re.compile(r"^(?:SyntaxError|IndentationError|TabError): .*\((?P<file>[^()\n]+), line (?P<line>\d+)\)$")
_CRASH = re.compile(
    r"^(?:Current thread|Stack) .*\(most recent call first\):\n(?P<frames>(?:  File .*\n?)+)", re.MULTILINE
)
_TRACEBACK = "Traceback (most recent call last):\n"
_PYBIND = "\n\nAt:\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a traceback. `file` is a bare name where a syntax error names no more."""

    file: str
    line: int
    function: str = ""


@dataclass(frozen=True, slots=True)
class PythonError:
    """An error as text (`KeyError: 'mean'`), and its frames, the innermost first; none of what isn't Python's."""

    text: str
    frames: tuple[Frame, ...] = ()


def parse_error(reason: str) -> PythonError:
    """Take apart a reason of Triton's.

    Frames come as pybind11 writes them (`  file(12): function`, innermost first, below "At:"), or as Python does, in
    the message of our runtime's LoadError; the latter tell more, as pybind11 leaves out the causes.
    """
    reason = _STATUS.sub("", reason.strip())
    text, _, at = reason.partition(_PYBIND)
    text, marker, _ = text.partition("\n" + _TRACEBACK)
    frames = _frames(_AT, at)
    if marker:
        frames = tuple(reversed(_frames(_FILE, reason.partition(_PYBIND)[0].rpartition(_TRACEBACK)[2])))
        text = _PLACE.sub("", _WRAPPED.sub("", text))
    if syntax := _SYNTAX.match(text):
        frames = (Frame(syntax["file"], int(syntax["line"])), *frames)
    return PythonError(text.strip(), frames)


def crash_frames(log: str) -> tuple[Frame, ...]:
    """Read the frames that Python's faulthandler wrote at crashes, the innermost first; none if it wrote none."""
    return tuple(frame for crash in _CRASH.finditer(log) for frame in _frames(_FILE, crash["frames"]))


def _frames(pattern: re.Pattern[str], text: str) -> tuple[Frame, ...]:
    return tuple(Frame(match["file"], int(match["line"]), match["function"] or "") for match in pattern.finditer(text))
