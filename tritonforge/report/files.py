"""Reports in files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tritonforge.errors import TritonForgeError
from tritonforge.load import Report
from tritonforge.report.page import page
from tritonforge.report.perf_analyzer import perf_analyzer_csv
from tritonforge.report.picture import check_png, main_png, main_svg

__all__ = ["WRITERS", "BadReport", "Unwritable", "check_places", "read_report", "write_report"]


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


class Unwritable(TritonForgeError):
    """A report can't be written where it is wanted."""

    def __init__(self, kind: str, path: Path, reason: str) -> None:
        super().__init__(f"--{kind.replace('_', '-')}: {path} can't be written: {reason}")


def check_places(outputs: Mapping[str, Path]) -> None:
    """Look whether reports could be written, before there is one to lose: what is made for that is taken away again.

    Raises:
        Unwritable: the path is a folder or `-`, no file can be made there, or another is to be there.
        PngUnavailable: a PNG is wanted, and resvg-py is not installed.
    """
    taken: dict[str, str] = {}
    for kind, path in outputs.items():
        if path.name == "-":
            raise Unwritable(kind, path, "standard output has the tables; name a file")
        other = taken.setdefault(os.path.realpath(path), kind)
        if other != kind:
            raise Unwritable(kind, path, f"--{other} is written there; name another file")
        if path.is_dir():
            raise Unwritable(kind, path, "it is a folder; name a file")
        try:
            _try(Path(os.path.realpath(path)))
        except OSError as error:
            where = f"{error.filename}: " if error.filename not in (None, str(path)) else ""
            raise Unwritable(kind, path, f"{where}{error.strerror or error}") from error
    if "png" in outputs:
        check_png()


def _try(place: Path) -> None:
    """Open a file for writing, in folders that are made for that. Raise OSError where it can't be; nothing is left."""
    if place.exists():
        if place.is_file():
            place.open("ab").close()
        elif not os.access(place, os.W_OK):  # a device, or a pipe that would wait for who reads it
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        return
    made: list[Path] = []
    try:
        for folder in reversed([each for each in place.parents if not each.exists()]):
            folder.mkdir()
            made.append(folder)
        place.open("xb").close()
        place.unlink()
    finally:
        for folder in reversed(made):
            folder.rmdir()


def write_report(report: Report, path: Path, kind: str) -> list[Path]:
    """Write a report as one of `WRITERS`, into folders that are made where they are missing; give the files.

    A CSV, whose columns have no protocol, is one for each: `NAME-http.csv` and `NAME-grpc.csv` where there are both.

    Raises:
        PngUnavailable: a PNG is wanted, and resvg-py is not installed.
        ValueError: a picture is wanted, and nothing was measured.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = _by_protocol(report, path) if kind == "csv" else {path: report}
    for place, part in parts.items():
        place.write_bytes(WRITERS[kind](part))
    return list(parts)


def _by_protocol(report: Report, path: Path) -> dict[Path, Report]:
    protocols = dict.fromkeys(point.protocol for point in report.points)
    if len(protocols) < 2:
        return {path: report}
    return {
        path.with_stem(f"{path.stem}-{protocol}"): replace(
            report, points=tuple(point for point in report.points if point.protocol == protocol)
        )
        for protocol in protocols
    }


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
