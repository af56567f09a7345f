"""Triton's log: what it says of models that failed, and its end, without the noise."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Failure", "added", "last_words", "loading_models", "printed_by", "read_failures", "read_notices"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A model that is not served: its name, version (or ""), and Triton's reason, unescaped.

    `syntax` is protobuf's complaint about its config.pbtxt, if that is the cause.
    """

    model: str
    reason: str
    version: str = ""
    syntax: str = ""


_LINE = re.compile(r"^.*?\b(?P<file>\w+\.cc):\d+\]\s+(?P<text>.*)$")
_SYNTAX = re.compile(r"^\[libprotobuf ERROR [^\]]*\] Error parsing text-format [\w.]+: (?P<text>.*)$")
_FAILURES = (
    re.compile(r"Poll failed for model directory '(?P<model>[^']*)': (?P<reason>.*)", re.DOTALL),
    re.compile(r"failed to load '(?P<model>[^']*)' version (?P<version>\d+): (?P<reason>.*)", re.DOTALL),
    re.compile(r"failed to load model '(?P<model>[^']*)': (?P<reason>.*)", re.DOTALL),
    re.compile(r"(?P<reason>Invalid argument: (?:in )?ensemble '?(?P<model>[^\s',]+)'?,? .*)", re.DOTALL),
)
_LOADING = re.compile(r"\bmodel_lifecycle\.cc:\d+\] \"?loading: (?P<model>.+):(?P<version>\d+)\"?$", re.MULTILINE)
_SETTLED = re.compile(
    r"\bmodel_lifecycle\.cc:\d+\] \"?(?:successfully loaded|failed to load) '(?P<model>[^']+)'\"?$", re.M
)
_NOTICE = re.compile(r"^(?:\S+ )?W.*?\bwire\.py:\d+\] (?P<text>.*)$", re.MULTILINE)
_NOISE = re.compile(
    r"^[+|]|^\s*$|NVML|DCGM|pinned_memory_manager|cuda_memory_manager|CudaDriverHelper|Collecting CPU metrics"
    r"|model_lifecycle\.cc:\d+\] \"loading: |tritonserver\.cc:\d+\] $|server\.cc:\d+\] $"
)
_INFORMATION = re.compile(r"^I\d{4} |^\S+Z I ")
_USAGE = "Usage: tritonserver [options]"
"""What it writes, on 400 lines, after the one that says which flag is wrong."""

_WIDEST = 1000
"""Characters of a line: a model's traceback may be one line of Triton's log."""

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}


def read_failures(log: str) -> list[Failure]:
    """Read every model's failure off a log; a model's first word on the matter counts."""
    failures: dict[tuple[str, str], Failure] = {}
    syntax = ""
    for line in log.splitlines():
        if complaint := _SYNTAX.match(line):
            syntax = complaint["text"]
        elif (failure := _failure(line, syntax)) is not None:
            failures.setdefault((failure.model, failure.version), failure)
            syntax = ""
    return list(failures.values())


def loading_models(log: str) -> list[str]:
    """Name the models that are still being loaded at the end of a log."""
    settled = {match["model"] for match in _SETTLED.finditer(log)}
    return sorted({match["model"] for match in _LOADING.finditer(log)} - settled)


def printed_by(model: str, log: str) -> list[str]:
    """Give what a model's process printed while the model was loaded; not what another may have, loaded at that time.

    The log doesn't say who prints.
    """
    printed: list[str] = []
    loading: set[str] = set()
    for line in log.splitlines():
        if found := _LOADING.search(line):
            loading.add(found["model"])
        elif found := _SETTLED.search(line):
            loading.discard(found["model"])
        elif loading == {model} and not (_LINE.match(line) or _NOISE.search(line)):
            printed.append(line)
    return printed


def read_notices(log: str) -> list[str]:
    """Read what the stand-ins for native backends warn of, `MODEL: …`, each once."""
    return list(dict.fromkeys(_unescape(match["text"]) for match in _NOTICE.finditer(log)))


def added(log: str, before: int) -> str:
    """Give what was added to a log that had so many characters; all of one that was begun anew meanwhile."""
    return log[before:] if len(log) >= before else log


def last_words(log: str, *, lines: int = 12, information: bool = True) -> str:
    """Give the last lines of a log that say something, long ones cut; of one that ends with the usage, those before.

    Without `information` they are warnings, errors, and what isn't Triton's own.
    """
    log = log.partition(_USAGE)[0].strip() or log
    telling = (line for line in log.splitlines() if information or not _INFORMATION.search(line))
    said = [line for line in telling if not _NOISE.search(line)][-lines:]
    return "\n".join(line if len(line) <= _WIDEST else f"{line[:_WIDEST]} …" for line in said)


def _failure(line: str, syntax: str) -> Failure | None:
    """Read one line of the log."""
    parts = _LINE.match(line)
    if parts is None:
        return None
    text = _unescape(parts["text"])
    for pattern in _FAILURES:
        if found := pattern.match(text):
            version = found.groupdict().get("version") or ""
            unreadable = "failed to read text proto" in found["reason"]
            return Failure(found["model"], found["reason"], version, syntax if unreadable else "")
    return None


def _unescape(text: str) -> str:
    """Undo the quotes and backslashes that Triton writes a message with."""
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text[1:-1])
    return text
