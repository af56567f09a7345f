"""Where reports may be written: in place of nothing else."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from tritonforge.errors import TritonForgeError
from tritonforge.load.exports.replacement import is_device
from tritonforge.report.picture import check_png

__all__ = ["Input", "Output", "Unwritable", "check_places", "kind_words"]

Output = tuple[str, str, Path]
"""An option, what it writes, and where: `("output", "json", Path("reports/ci.json"))`."""
Input = tuple[str, Path]
"""What reads a file or a folder, and that: `("--data", Path("rows.npz"))`."""

_STARTS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "json": ((b'{"settings"',), "a report"),
    "comparison": ((b'{"format"',), "a comparison"),
    "markdown": ((b"###",), "a comparison"),
    "csv": ((b"concurrency,", b"requestrate,"), "perf_analyzer's CSV"),
    "html": ((b"<!doctypehtml",), "HTML"),
    "svg": ((b"<svg",), "an SVG"),
    "png": ((b"\x89png",), "a PNG"),
    "profile_export": ((b'{"experiments"',), "a profile export"),
}
"""How each kind of file starts, in lower case and without spaces, and what it is called."""
_SUFFIXES = {f".{kind}" for kind in ("json", "csv", "html", "png", "svg", "jpg", "jpeg", "gif", "webp", "pdf")}
_SUFFIXED = ("json", "csv", "html", "png", "svg")
_LOOKED_AT = 200


class Unwritable(TritonForgeError):
    """A report can't be written where it is wanted."""

    def __init__(self, option: str, path: Path, reason: str) -> None:
        super().__init__(f"--{option.replace('_', '-')}: {path} can't be written: {reason}")


def check_places(outputs: Iterable[Output], inputs: Iterable[Input] = ()) -> None:
    """Look whether reports could be written, before there is one to lose: what is made for that is taken away again.

    A device takes several. A baseline may become the report of the run that is held against it: it is read before.

    Raises:
        Unwritable: the path is a folder or `-`, no file can be made there, another is to be there, or is read from
            there, what is there is no such thing, or its name ends as that of another format.
        PngUnavailable: a PNG is wanted, and resvg-py is not installed.
    """
    read = {_identity(path): name for name, path in inputs}
    taken: dict[object, str] = {}
    for option, kind, path in outputs:
        _check_name(option, kind, path)
        place = path if (device := is_device(path)) else Path(os.path.realpath(path))
        if not device:
            identity = _identity(path)
            if identity in taken:
                raise Unwritable(option, path, f"--{taken[identity]} is written there; name another file")
            taken[identity] = option
            reader = read.get(identity)
            if reader is not None and (reader, kind) != ("--baseline", "json"):
                raise Unwritable(option, path, f"{reader} is read from there; name another file")
        try:
            _try(place)
            if not device:
                _check_content(option, kind, path)
        except OSError as error:
            where = f"{error.filename}: " if error.filename not in (None, str(path)) else ""
            raise Unwritable(option, path, f"{where}{error.strerror or error}") from error
        if kind == "png":
            check_png()


def _check_name(option: str, kind: str, path: Path) -> None:
    if path.name == "-":
        raise Unwritable(option, path, "standard output has the tables; name a file")
    if path.is_dir():
        raise Unwritable(option, path, "it is a folder; name a file")
    suffix = path.suffix.lower()
    if kind in _SUFFIXED and suffix in _SUFFIXES - {f".{kind}"}:
        raise Unwritable(option, path, f"it holds no {path.suffix}; name it {path.stem}.{kind}")
    if suffix == ".gz" and not is_device(path):  # what reads a pipe may well compress
        raise Unwritable(option, path, f"it is not compressed; name it {path.stem}")


def _identity(path: Path) -> object:
    """Give what two names of one file have in common: the file itself where it is there, also by a hard link."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _check_content(option: str, kind: str, path: Path) -> None:
    """Raise Unwritable where a file is there that isn't to be replaced: not an empty one, and of another kind."""
    if not path.exists():
        return
    with path.open("rb") as file:
        found = _start(file.read(_LOOKED_AT))
    starts, name = _STARTS[kind]
    if found and not found.startswith(starts):
        raise Unwritable(option, path, f"what is there is not {name}; name another file, or remove it")


def kind_words(content: bytes) -> str | None:
    """Say what a file is by its beginning, where it is of a kind that is written: `a comparison`."""
    found = _start(content)
    return next((name for starts, name in _STARTS.values() if found.startswith(starts)), None)


def _start(content: bytes) -> bytes:
    return b"".join(content[:_LOOKED_AT].lower().split())


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
