"""Reports in files."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonforge.errors import TritonForgeError
from tritonforge.load import Report
from tritonforge.load.codec import encode
from tritonforge.load.exports.replacement import Replacement, is_device, is_replaced, open_device
from tritonforge.report.page import page
from tritonforge.report.perf_analyzer import perf_analyzer_csv
from tritonforge.report.picture import main_png, main_svg
from tritonforge.report.places import kind_words

__all__ = ["WRITERS", "BadReport", "files_of", "read_report", "write", "write_report"]


class BadReport(TritonForgeError):
    """A file is no report."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is no report: {reason}\n  hint: tritonforge perf … --json FILE writes one")


def _json(report: Report) -> bytes:
    return (json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


WRITERS: dict[str, Callable[[Report], bytes]] = {
    "json": _json,
    "csv": lambda report: perf_analyzer_csv(report).encode(),
    "html": lambda report: page(report).encode(),
    "svg": lambda report: main_svg(report).encode(),
    "png": main_png,
}
"""What a report can be written as."""
_REPORT = "a report"
_GZIP = b"\x1f\x8b"
_FIGURES = ("throughput", "duration_s", "mean_us", "p50_us", "p90_us", "p95_us", "p99_us", "p999_us")
"""What each window has; above 0 where something succeeded in it."""


def files_of(path: Path, kind: str, protocols: Iterable[str]) -> list[Path]:
    """Name the files that a report of these protocols may be written to, as `write_report` names them."""
    apart = [_of_protocol(path, protocol) for protocol in protocols] if kind == "csv" else []
    return [path] if len(apart) < 2 or is_device(path) else [path, *apart]


def write_report(report: Report, path: Path, kind: str) -> list[Path]:
    """Write a report as one of `WRITERS`, into folders that are made where they are missing; give the files.

    A CSV, whose columns have no protocol, is one for each: `NAME-http.csv` and `NAME-grpc.csv` where there are both. A
    device gets one behind the other.

    Raises:
        PngUnavailable: a PNG is wanted, and resvg-py is not installed.
        ValueError: a picture is wanted, and nothing was measured.
    """
    parts = _by_protocol(report) if kind == "csv" else {}
    if len(parts) < 2:
        parts = {"": report}
    written = {protocol: WRITERS[kind](part) for protocol, part in parts.items()}
    if len(parts) == 1 or is_device(path):
        write(path, b"".join(written.values()))
        return [path]
    files = {_of_protocol(path, protocol): content for protocol, content in written.items()}
    for file, content in files.items():
        write(file, content)
    return list(files)


def write(path: Path, content: bytes) -> None:
    """Write a file, into folders that are made where they are missing; what was there stays until it is whole."""
    if not is_replaced(path):
        with open_device(path) as file:
            file.write(content)
        return
    with Replacement(path) as new:
        new.part.write_bytes(content)
        new.put()


def _of_protocol(path: Path, protocol: str) -> Path:
    return path.with_stem(f"{path.stem}-{protocol}")


def _by_protocol(report: Report) -> dict[str, Report]:
    return {
        protocol: replace(report, points=tuple(point for point in report.points if point.protocol == protocol))
        for protocol in dict.fromkeys(point.protocol for point in report.points)
    }


def read_report(path: Path) -> Report:
    """Read what `--json` wrote; compressed by gzip, too.

    Raises:
        BadReport: it is something else, or of another format.
        OSError: it can't be read.
    """
    try:
        content = _content(path)
        if (kind := kind_words(content)) not in (None, _REPORT):
            raise BadReport(path, f"it is {kind}")
        report = Report.from_json(_parsed(content))
        _check_figures(report)
    except (ValueError, OverflowError) as error:
        raise BadReport(path, str(error)) from error
    except RecursionError as error:
        raise BadReport(path, "its JSON is nested too deep") from error
    return report


def _parsed(content: bytes) -> Any:
    """Read JSON. Raise ValueError for what is none."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise ValueError(f"it isn't JSON, or not whole: {error}" if content.strip() else "it is empty") from error


def _content(path: Path) -> bytes:
    """Read a file, decompressed where it starts as gzip does. Raise ValueError where that fails."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"it can't be decompressed: {error}") from error


def _check_figures(report: Report) -> None:
    """Raise ValueError for figures that no measurement has, and settings without end."""
    json.dumps(encode(report.settings), allow_nan=False)
    for point in report.points:
        for index, window in enumerate(point.windows):
            for name in _FIGURES:
                value = getattr(window, name)
                ended = window.throughput > 0 or name == "duration_s"
                if not math.isfinite(value) or value < 0 or (ended and not value):
                    raise ValueError(f"{point.load}: its window {index} has {value:g} as {name}")
