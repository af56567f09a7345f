"""Mistakes in the settings of a definition: raised where it is made; a build collects them with all others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from tritonforge.define.settings import Batching, Instances, Options
from tritonforge.define.settings.explanations import WHERE_TOLD, explain
from tritonforge.errors import Diagnostic, Where

__all__ = ["Fault", "collecting_faults", "settle", "unknown"]

_collected: ContextVar[list[Fault] | None] = ContextVar("collected", default=None)

_GROUPS: Mapping[str, type[BaseModel]] = {"batching": Batching, "instances": Instances}
"""Settings that are groups of others."""

_PADDING = ("pad", "pad_to")


class UnknownSetting(TypeError):
    """A keyword argument that a kind of definition doesn't take; `hint` says what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Fault:
    """Mistakes in the settings of one definition. Its name, and so its place, is known when its module is imported."""

    errors: tuple[Exception, ...]
    where: Callable[[], Where]

    def diagnostics(self) -> Iterator[Diagnostic]:
        """Tell each mistake."""
        for error in self.errors:
            for text in explain(error) if isinstance(error, ValidationError) else [str(error)]:
                message, _, hint = text.partition("; write ")
                known = error.hint if isinstance(error, UnknownSetting) else WHERE_TOLD
                yield Diagnostic("TF117", self.where(), message, f"write {hint}" if hint else known)


@contextmanager
def collecting_faults() -> Iterator[list[Fault]]:
    """Collect mistakes in settings, while a module is imported, in the place of raising them.

    A definition that has one is made nevertheless, without its wrong settings: others can refer to it.
    """
    faults: list[Fault] = []
    token = _collected.set(faults)
    try:
        yield faults
    finally:
        _collected.reset(token)


def settle(errors: Iterable[Exception], where: Callable[[], Where]) -> None:
    """Collect what is wrong with the settings of a definition; raise the first error where nobody collects."""
    found = tuple(errors)
    faults = _collected.get()
    if found and faults is None:
        raise found[0]
    if found and faults is not None:
        faults.append(Fault(found, where))


def unknown(definition: type, given: Mapping[str, Any]) -> Iterator[UnknownSetting]:
    """Give an error for each keyword argument that a kind of definition doesn't take."""
    own = {
        name
        for name, one in inspect.signature(definition).parameters.items()
        if one.kind is one.KEYWORD_ONLY and name not in ("origin", "batched")
    }
    known = own | Options.model_fields.keys()
    for name in (name for name in given if name not in known):
        inside = next((one for one, kind in _GROUPS.items() if one in own and name in kind.model_fields), "")
        if inside:
            group = f"{inside}={_GROUPS[inside].__name__}({name}={_shown(given[name])})"
            yield UnknownSetting(f'it has no setting "{name}": that is one of {inside}', f"write {group}")
            continue
        if name in _PADDING:
            reason = f'it has no setting "{name}": that is one of @model'
            yield UnknownSetting(reason, "leave it out; a @model with it, before this one in a pipeline, can fill up")
            continue
        close = get_close_matches(name, known, n=1)
        rest = f'did you mean "{close[0]}"?' if close else f"its settings are {', '.join(sorted(known))}"
        hint = f"write {close[0]}=…, or leave it out" if close else "leave it out"
        yield UnknownSetting(f'it has no setting "{name}"; {rest}', hint)


def _shown(value: object) -> str:
    """Write a number as it is."""
    return repr(value) if isinstance(value, int | float) else "…"
