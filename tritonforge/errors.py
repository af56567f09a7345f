"""What is said when something is wrong: `Diagnostic` for a mistake of the user's, and the tree of exceptions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Diagnostic", "DiagnosticError", "InvalidTensor", "Severity", "TritonForgeError", "Where", "labelled"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Where:
    """The place a diagnostic speaks of: a line of a file, and the model and tensor in it.

    `file` is an absolute path or empty, `line` counts from 1 (0: the file as a whole), `subject` is for people:
    `fraud → classifier, input "features"`.
    """

    file: str = ""
    line: int = 0
    subject: str = ""

    def at(self, subject: str) -> Where:
        """Give the same file and line with another subject."""
        return Where(self.file, self.line, subject)

    def __str__(self) -> str:
        place = _readable(self.file) + (f":{self.line}" if self.file and self.line else "")
        return " ".join(part for part in (place, self.subject) if part)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: where it is, what was found and what is allowed (`message`), and how to mend it (`hint`)."""

    code: str
    where: Where
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        label = "" if self.severity == "error" else f"{self.severity}: "
        place = str(self.where)
        first = f"{label}{place}: {self.message}" if place else f"{label}{self.message}"
        if not self.hint:
            return f"{first}  [{self.code}]"
        return f"{first}\n  hint: {self.hint}  [{self.code}]"


class TritonForgeError(Exception):
    """The base of every error that tritonforge raises on purpose."""


class DiagnosticError(TritonForgeError):
    """One or more mistakes of the user's, collected and raised once.

    `diagnostics` holds them all, in the order of the files and lines they speak of; `str()` is the text to show.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))

    def __reduce__(self) -> tuple[type[DiagnosticError], tuple[object, ...]]:
        return type(self), (self.diagnostics,)


class InvalidTensor(TritonForgeError, ValueError):
    """An argument or a result of a call that doesn't match the signature: wrong name, type, dtype or shape."""


def _readable(file: str) -> str:
    """Shorten an absolute path below the working directory to a relative one."""
    if not os.path.isabs(file):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def labelled(error: Exception) -> str:
    """Give an error's text as commands print it: a diagnostic has its place and its code, any other is called one."""
    return str(error) if isinstance(error, DiagnosticError) else f"error: {error}"
