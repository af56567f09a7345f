"""Reports in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tritonforge.errors import TritonForgeError
from tritonforge.load import Report
from tritonforge.report.page import page
from tritonforge.report.perf_analyzer import perf_analyzer_csv
from tritonforge.report.picture import main_png, main_svg

__all__ = ["WRITERS", "BadReport", "read_report", "write_report"]


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


def write_report(report: Report, path: Path, kind: str) -> None:
    """Write a report as one of `WRITERS`, into folders that are made where they are missing.

    Raises:
        PngUnavailable: a PNG is wanted, and resvg-py is not installed.
        ValueError: a picture is wanted, and nothing was measured.
    """
    content = WRITERS[kind](report)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read_report(path: Path) -> Report:
    """Read what `--json` wrote.

    Raises:
        BadReport: it is something else, or of another format.
        OSError: it can't be read.
    """
    try:
        return Report.from_json(json.loads(path.read_bytes()))
    except ValueError as error:
        raise BadReport(path, str(error)) from error
