"""The user's function or class, imported from the files that travelled into the repository."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from . import standin
from .awaitables import is_async
from .errors import CAUGHT, LoadError
from .failure import Failures
from .parts import ClassPart, PartSpec

__all__ = ["Found", "find"]


class Found(NamedTuple):
    """What serves a model: its function, the classes that were made, and whether it calls served models that block."""

    function: Any
    classes: list[ClassPart]
    blocks: bool


def find(
    module: str, attribute: str, roots: Sequence[str], failures: Failures, parts: Sequence[PartSpec] = ()
) -> Found:
    """Import a module, with `roots` leading the search path, and give the attribute (`normalize`, `Outer.inner`).

    A class is made into its instance; `parts` are loaded. The classes among them are given, too, to be finalized.

    Raises:
        LoadError: the import or the class's `__init__` failed, or the module is not the user's; the message has the
            user's own part of the traceback.
    """
    sys.path[:0] = [root for root in roots if root not in sys.path]
    standin.install()
    try:
        found = _get(module, attribute, roots)
        # What a model's own code calls may be from a package that is installed.
        made = [_get(part.module, part.variable, () if part.nested else roots) for part in parts]
        for part, one in zip(parts, made, strict=True):
            one.load_part(part)
        function = found.part_instance if isinstance(found, ClassPart) else getattr(found, "target", found)
        blocks = any(
            part.remote and not is_async(getattr(one, "target", None)) for part, one in zip(parts, made, strict=True)
        )
        classes = {id(one): one for one in (found, *made) if isinstance(one, ClassPart)}  # one may call itself
        return Found(function, list(classes.values()), blocks)
    except LoadError:
        raise
    except CAUGHT as error:
        failures.log(error, "cannot be loaded")
        raise LoadError(f"{failures.summarize(error)}\n{failures.own_traceback(error)}") from error


def _get(module: str, attribute: str, roots: Sequence[str]) -> Any:
    found = attrgetter(attribute)(_import(module, roots))
    return ClassPart(found) if isinstance(found, type) else found


def _import(name: str, roots: Sequence[str]) -> Any:
    module = importlib.import_module(name)
    file = getattr(module, "__file__", None) or ""
    if roots and not any(os.path.realpath(file).startswith(os.path.join(os.path.realpath(root), "")) for root in roots):
        raise LoadError(f"the user's module {name} is hidden by {file or 'a built-in module'} of that name; rename it")
    return module
