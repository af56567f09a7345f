"""Why a definition has no golden samples, and how that is mended."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tritonforge
from tritonforge.build.discover import missing_module
from tritonforge.build.environments import OtherPackage
from tritonforge.build.sources import is_installed
from tritonforge.define import Definition
from tritonforge.define.python_model import being_made
from tritonforge.errors import Diagnostic, InvalidTensor
from tritonforge.samples import NotKept

__all__ = ["NotOneAnswer", "OtherPackages", "TooManyRows", "fault"]

_NAMED = 3
"""Packages that a warning names."""

_EXAMPLE = "an example is a dict of arrays by input, as in a call of the definition, which must run on it here"


class NotOneAnswer(Exception):
    """A definition whose answers can't be kept: there are none, or several, to a request, or they hang on others."""


class TooManyRows(Exception):
    """An example that no server takes as one request."""


class OtherPackages(Exception):
    """A model whose environment has other packages than this Python, in which it would answer otherwise."""

    def __init__(self, model: str, packages: Sequence[OtherPackage]) -> None:
        more = f" and {len(packages) - _NAMED} more" if len(packages) > _NAMED else ""
        super().__init__(", ".join(map(str, packages[:_NAMED])) + more)
        self.model = model


def fault(definition: Definition[..., Any], error: BaseException) -> Diagnostic:
    """Say what kept a definition from having samples: an error of its own examples, else a warning."""
    if isinstance(error, OtherPackages):
        whose = "its environment" if error.model == definition.name else f"the environment of {error.model}"
        message = f"it has no golden samples, since {whose} has other packages than this Python: {error}"
        hint = "build with these versions installed, or leave it without"
        return Diagnostic("TF414", definition.where, message, hint, severity="warning")
    examples = bool(definition.options.examples)
    ours = isinstance(error, NotOneAnswer | TooManyRows | NotKept)
    words = str(error) if ours else f"{type(error).__name__}: {error}"
    made = None if ours else being_made(error)
    if made is not None:
        whose = "its __init__" if made.name == definition.name else f"the __init__ of {made.name}"
        message = f"it has no golden samples, since {whose} fails here: {words}"
    elif examples:
        message = f"it has no golden samples of its examples: {words}"
    elif ours:
        message = f"it has no golden samples: {words}"
    else:
        message = f"it has no golden samples, since it doesn't run on random input here: {words}"
    hint = _hint_of_ours(error, examples=examples) or _hint_of_result(error) or _hint(error, definition)
    if not hint and made is not None:
        hint = f"mend {_line(error) or whose}: Triton serves no model whose __init__ raises"
    if examples:
        hint = (
            hint or "an example is a dict of arrays by input, as in a call of the definition, which must run on it here"
        )
        return Diagnostic("TF411", definition.where, message, hint)
    return Diagnostic("TF412", definition.where, message, hint or "give it examples=, or leave it without", "warning")


def _hint_of_ours(error: BaseException, *, examples: bool) -> str:
    """Say what to do about samples that we refuse, for all that the code itself is right."""
    without = "leave examples= out, and " if examples else ""
    if isinstance(error, NotOneAnswer):
        return f"{without}test it by client.stream or client.sequence calls"
    if isinstance(error, NotKept):
        instead = "; or give examples whose answers can be kept" if examples else ""
        return f"{without}test it by calls of your own{instead}"
    if isinstance(error, TooManyRows):
        return "make several examples of it, or raise batching's max_batch_size"
    return ""


def _hint_of_result(error: BaseException) -> str:
    """Say how an answer is mended that isn't as it is annotated."""
    if isinstance(error, InvalidTensor) and ': result "' in str(error):
        return "mend what it returns, or its annotation: served, a request with such an answer fails"
    return ""


def _hint(error: BaseException, definition: Definition[..., Any]) -> str:
    """Say how code is mended that fails on any input; nothing of what may be the input's fault."""
    if isinstance(error, SystemExit):
        return "take out what ends the process: sys.exit, or a parser of arguments"
    if isinstance(error, ModuleNotFoundError) and error.name:
        environment = definition.options.environment
        if environment:
            kind = "examples" if definition.options.examples else "samples"
            without = "leave examples= out" if definition.options.examples else "leave it without"
            return (
                f"{kind} run here, with the packages of its environment: add {error.name} to "
                f"{environment} and install it here too, or {without}"
            )
        return missing_module(error.name.partition(".")[0], definition.file)
    line = _line(error)
    if line and isinstance(error, NameError | ImportError):
        return f"mend {line}: that fails on any input"
    if line and isinstance(error, AttributeError):
        return f"mend {line}, or give examples= where only this input fails there"
    return ""


def _line(error: BaseException) -> str:
    """Name the last line of the user's own that an error passed: `models.py:12 (return scael(x))`."""
    ours = Path(tritonforge.__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not file.is_relative_to(ours) and not is_installed(file.resolve()):
            return f"{file.name}:{frame.lineno}" + (f" ({frame.line.strip()})" if frame.line else "")
    return ""
