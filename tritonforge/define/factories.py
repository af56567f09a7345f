"""Functions of the user's that give what is served: an estimator, a torch module."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tritonforge.errors import Diagnostic, DiagnosticError, Where

__all__ = ["make"]

_INSTALLED = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "purelib", "platlib"))
"""Where the standard library and packages are."""


def make(factory: Callable[..., Any], where: Where) -> Any:
    """Call a function of no arguments that gives what a definition serves.

    Raises:
        DiagnosticError: it wants arguments, or fails; with the line of it that does.
    """
    spelled = getattr(factory, "__qualname__", type(factory).__name__)
    wanted = _required(factory)
    if wanted:
        reason = f"{spelled} wants {', '.join(wanted)}, and is called without arguments"
        raise _failed(where, reason, "give each parameter a default, or hand over a lambda that gives them")
    try:
        return factory()
    except DiagnosticError:
        raise
    except (Exception, SystemExit) as error:
        text = str(error).strip()
        words = f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
        reason = f"{spelled}() fails: {words}{_line(error)}"
        raise _failed(where, reason, "it must run here; asset(…) finds a file beside the definition") from error


def _required(factory: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in variadic]


def _line(error: BaseException) -> str:
    """Name the last line that is none of a library's."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if not frame.filename.startswith((*_INSTALLED, "<"))]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno}, in: {own[-1].line})" if own and own[-1].line else ""


def _failed(where: Where, reason: str, hint: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("TF304", where, reason, hint)])
