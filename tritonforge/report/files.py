"""Reports in files."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tritonforge.errors import TritonForgeError
from tritonforge.load import Report
from tritonforge.load.codec import encode
from tritonforge.report.page import page
from tritonforge.report.perf_analyzer import perf_analyzer_csv
from tritonforge.report.picture import check_png, main_png, main_svg

__all__ = ["WRITERS", "BadReport", "Unwritable", "check_places", "read_report", "write", "write_report"]


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
_SUFFIXES = {f".{kind}" for kind in WRITERS} | {".jpg", ".jpeg", ".gif", ".webp", ".pdf"}
_FIGURES = ("throughput", "duration_s", "mean_us", "p50_us", "p90_us", "p95_us", "p99_us", "p999_us")
"""What each window has; above 0 where something succeeded in it."""


class Unwritable(TritonForgeError):
    """A report can't be written where it is wanted."""

    def __init__(self, kind: str, path: Path, reason: str) -> None:
        super().__init__(f"--{kind.replace('_', '-')}: {path} can't be written: {reason}")


def check_places(outputs: Iterable[tuple[str, Path]]) -> None:
    """Look whether reports could be written, before there is one to lose: what is made for that is taken away again.

    Each is an option and its file. A device takes several.

    Raises:
        Unwritable: the path is a folder or `-`, no file can be made there, another is to be there, or its name ends as
            that of another format.
        PngUnavailable: a PNG is wanted, and resvg-py is not installed.
    """
    taken: dict[str, str] = {}
    for kind, path in outputs:
        if path.name == "-":
            raise Unwritable(kind, path, "standard output has the tables; name a file")
        if path.is_dir():
            raise Unwritable(kind, path, "it is a folder; name a file")
        if kind in WRITERS and path.suffix.lower() in _SUFFIXES - {f".{kind}"}:
            raise Unwritable(kind, path, f"it holds no {path.suffix}; name it {path.stem}.{kind}")
        if (is_file := not _is_device(path)) and (place := os.path.realpath(path)) in taken:
            raise Unwritable(kind, path, f"--{taken[place]} is written there; name another file")
        if is_file:
            taken[place] = kind
        try:
            _try(Path(place) if is_file else path)
        except OSError as error:
            where = f"{error.filename}: " if error.filename not in (None, str(path)) else ""
            raise Unwritable(kind, path, f"{where}{error.strerror or error}") from error
        if kind == "png":
            check_png()


def _is_device(path: Path) -> bool:
    """Tell of a device or a pipe. What a link to a pipe names (`/dev/stdout`, `>(…)`) is no path."""
    return path.exists() and not path.is_file()


def _try(place: Path) -> None:
    """Open a file for writing, in folders that are made for that. Raise OSError where it can't be; nothing is left."""
    if place.exists():
        if place.is_file():
            place.open("ab").close()
        elif not os.access(place, os.W_OK):  # to open a pipe would wait for who reads it
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
    if len(parts) == 1 or _is_device(path):
        write(path, b"".join(written.values()))
        return [path]
    files = {path.with_stem(f"{path.stem}-{protocol}"): content for protocol, content in written.items()}
    for file, content in files.items():
        write(file, content)
    return list(files)


def write(path: Path, content: bytes) -> None:
    """Write a file, into folders that are made where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _by_protocol(report: Report) -> dict[str, Report]:
    return {
        protocol: replace(report, points=tuple(point for point in report.points if point.protocol == protocol))
        for protocol in dict.fromkeys(point.protocol for point in report.points)
    }


def read_report(path: Path) -> Report:
    """Read what `--json` wrote.

    Raises:
        BadReport: it is something else, or of another format.
        OSError: it can't be read.
    """
    try:
        report = Report.from_json(json.loads(path.read_bytes()))
        _check_figures(report)
    except (ValueError, OverflowError) as error:
        raise BadReport(path, str(error)) from error
    except RecursionError as error:
        raise BadReport(path, "its JSON is nested too deep") from error
    return report


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
