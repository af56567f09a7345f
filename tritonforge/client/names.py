"""Models' names in messages: how one is shown, and what someone may have meant by one that the server doesn't know."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

__all__ = ["near_names", "shown"]

_FEW = 8
_AS_NEAR = 0.15
"""How much less alike than the nearest name another that is offered beside it may be."""


def shown(name: object) -> str:
    """Give a name, or an id, for a message: what would break its line, or hide in it, is escaped as Python does."""
    text = str(name)
    return text if text.isprintable() else repr(text)[1:-1]


def near_names(name: str, there: Collection[str]) -> str:
    """Give the end of a sentence that offers names like this one, or all where there are few; empty if it is there."""
    if name in there:
        return ""
    lower = {known.lower(): known for known in there}
    near = _nearest(name.lower(), sorted(lower))
    near += [known for known in sorted(lower) if known not in near and name and name.lower() in known][:3]
    if near:
        return f"; did you mean {' or '.join(shown(lower[known]) for known in near)}?"
    if not there:
        return "; the server has no models"
    return f"; there are: {', '.join(map(shown, sorted(there)))}" if len(there) <= _FEW else ""


def _nearest(name: str, there: Sequence[str]) -> list[str]:
    near = difflib.get_close_matches(name, there, n=3)
    likeness = {known: difflib.SequenceMatcher(None, known, name).ratio() for known in near}
    return [known for known in near if likeness[known] >= likeness[near[0]] - _AS_NEAR]
