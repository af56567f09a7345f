"""What the checker says: one finding for each thing that is wrong, at its field and line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tritonforge.errors import Diagnostic, Severity, Where

__all__ = ["Finding", "Found", "error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in a repository.

    `path` is the file it is in, relative to the repository; `line` counts from 1, 0 is the file as a whole; `field` is
    the path of a field in config.pbtxt (`input[0].dims`), empty where it isn't about one.
    """

    model: str
    path: str
    line: int
    field: str
    code: str
    severity: Severity
    message: str
    hint: str = ""

    def diagnostic(self, repository: str) -> Diagnostic:
        """Give it in the form that every command prints."""
        subject = ", ".join(part for part in (self.model, self.field) if part)
        where = Where(f"{repository}/{self.path}" if self.path else repository, self.line, subject)
        return Diagnostic(self.code, where, self.message, self.hint, self.severity)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found in a model, by the path of a field; or in another file of the model's, `file`, at a `line`."""

    code: str
    field: str
    message: str
    hint: str = ""
    severity: Severity = "error"
    file: str = ""
    line: int = 0


def error(code: str, field: str, message: str, hint: str = "", *, file: str = "", line: int = 0) -> Found:
    """Find something that Triton refuses, or that can't work."""
    return Found(code, field, message, hint, "error", file, line)


def warning(code: str, field: str, message: str, hint: str = "", *, file: str = "", line: int = 0) -> Found:
    """Find something that Triton takes, but that is hardly meant."""
    return Found(code, field, message, hint, "warning", file, line)
