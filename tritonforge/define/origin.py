"""Where in the user's code a definition was made or called, and files that lie beside that code."""

from __future__ import annotations

import contextvars
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import FrameType
from typing import Any

from tritonforge.define.links import module_place, named_path
from tritonforge.errors import Diagnostic, DiagnosticError, Where

__all__ = ["MissingFile", "Origin", "asset", "caller", "recorded_assets", "variable"]

_PACKAGE = __name__.partition(".")[0]
_recording: contextvars.ContextVar[list[tuple[str, Path]] | None] = contextvars.ContextVar("recording", default=None)


class MissingFile(DiagnosticError, FileNotFoundError):
    """A file that a definition names is not there."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of a call in the user's code, and the namespace of the module whose import made it.

    The two are different files where a helper of the user's makes the definition: `fast = gpu_model(function)`.
    """

    where: Where
    namespace: Mapping[str, Any]

    @property
    def module(self) -> str:
        """The name under which the module was imported; `__main__` for a script."""
        return str(self.namespace.get("__name__", ""))

    @property
    def file(self) -> Path:
        """The module's file, where it is imported from: it may be a link."""
        return module_place(self.module, Path(self.namespace.get("__file__") or self.where.file))

    def begin(self, function: Callable[..., Any]) -> Where:
        """Find where a function begins, below its decorators; this place where it doesn't say."""
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is None or code.co_filename.startswith("<"):
            return self.where
        return Where(str(Path(code.co_filename).resolve()), code.co_firstlineno)

    def beside(self, path: str | PathLike[str], subject: str = "") -> Path:
        """Find a path from the folder of the user's file, under the name that it has there: it may be a link.

        Raises:
            MissingFile: nothing is there.
        """
        found = named_path(Path(self.where.file).parent / path)
        if not found.exists():
            raise MissingFile(
                [
                    Diagnostic(
                        "TF301",
                        self.where.at(subject),
                        f'"{path}" is missing beside {Path(self.where.file).name}',
                        "paths are relative to the file that names them; check the name, or make the file first",
                    )
                ]
            )
        return found


def caller() -> Origin:
    """Find the nearest frame outside this package, and the module that is being imported there."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    assert frame is not None, "this package is always called by somebody"
    file = frame.f_code.co_filename
    known = str(Path(file).resolve()) if not file.startswith("<") else file
    module: FrameType | None = frame
    while module is not None and module.f_code.co_name != "<module>":
        module = module.f_back
    return Origin(Where(known, frame.f_lineno), (module or frame).f_globals)


def variable(namespace: Mapping[str, Any], value: object) -> str:
    """Find the first variable of a module that holds an object; empty where there is none."""
    return next((name for name, held in list(namespace.items()) if held is value), "")


def asset(path: str | PathLike[str]) -> Path:
    """Find a file or folder beside the calling file; it travels into the model repository.

    A name written out (`asset("stats.npz")`) is found by the build wherever it stands. A computed name must be used
    while the module is imported, or the build can't know of it.

    Raises:
        MissingFile: nothing is there.
    """
    origin = caller()
    found = origin.beside(path)
    recorded = _recording.get()
    if recorded is not None:
        recorded.append((origin.where.file, found))
    return found


@contextmanager
def recorded_assets() -> Iterator[list[tuple[str, Path]]]:
    """Collect what `asset` is asked for inside the `with` block: the file that asks, and what it gets."""
    collected: list[tuple[str, Path]] = []
    token = _recording.set(collected)
    try:
        yield collected
    finally:
        _recording.reset(token)
