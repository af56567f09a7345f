"""Writing a repository's folder: all of it, or nothing."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tritonforge.ir import File
from tritonforge.repository_files import DISK_FULL

__all__ = ["temporary_folder", "write"]

SWEEPER = "import shutil, sys; sys.stdin.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"
"""Waits until the process that started it is gone, killed or done, and removes what it leaves."""

AT_FDCWD, RENAME_EXCHANGE = -100, 2


def write(files: Mapping[str, File], output: Path, *, inspect: Callable[[Path], None] = lambda folder: None) -> None:
    """Write files below a new folder, and put it in the place of `output` in one step.

    Whatever ends the build before that step, SIGKILL too, the old folder stays whole and nothing is left beside it.
    `inspect` is given the new folder before that; what it raises ends the build.

    Raises:
        OSError: the disk is full, a file can't be read, …
    """
    output = output.resolve()  # a link stays one, and what it points to is replaced
    output.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(output) as folder, _naming(output):
        written: dict[bytes | Path | None, Path] = {}
        for path, file in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            same = written.setdefault(file.source if file.content is None else file.content, target)
            if same is target or not _link(same, target):
                _write_file(file, target)
        inspect(folder)
        _replace(folder, output)


@contextmanager
def _naming(output: Path) -> Iterator[None]:
    """Say of a disk that is full which it is: that of `output`, though the file that is copied may be elsewhere."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise OSError(error.errno, error.strerror, os.fspath(output)) from error
        raise


def _link(same: Path, target: Path) -> bool:
    """Store content that several models share (the runtime, a large asset) once, where the file system can."""
    try:
        os.link(same, target)
    except OSError:
        return False
    return True


def _write_file(file: File, target: Path) -> None:
    if file.content is not None:
        target.write_bytes(file.content)
    else:
        assert file.source is not None
        shutil.copyfile(file.source, target)


@contextmanager
def temporary_folder(output: Path) -> Iterator[Path]:
    """Make a folder beside `output`, on the same file system, for the block; remove it, or what has taken its place.

    A process of its own removes it where this one is killed.

    Raises:
        OSError: it can't be made; of `output`, since nobody knows the other name.
    """
    name = tempfile.mktemp(prefix=f".{output.name}.", dir=output.parent)  # the sweeper must know it before it is there
    sweeper = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SWEEPER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        try:
            os.mkdir(name)
        except OSError as error:
            reason = f"no folder can be made there: {error.strerror}"
            raise OSError(error.errno, reason, os.fspath(output)) from error
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
        assert sweeper.stdin is not None
        sweeper.stdin.close()
        sweeper.wait()


def _replace(folder: Path, output: Path) -> None:
    if not output.exists():
        os.rename(folder, output)
    elif not _exchange(folder, output):
        aside = Path(f"{folder}.old")
        os.rename(output, aside)
        os.rename(folder, output)
        shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, where the kernel and the file system can (Linux 3.15)."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done: int = renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    return done == 0
