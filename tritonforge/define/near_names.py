"""Names that there aren't, and what they are likely meant for."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["match_names"]


def match_names(unknown: Iterable[str], missing: Iterable[str]) -> dict[str, str]:
    """Say which tensor each unknown name is likely meant for: that of the nearest name, or the only one left."""
    left, meant = dict.fromkeys(missing), dict[str, str]()
    rest: list[str] = []
    for name in dict.fromkeys(unknown):
        near = get_close_matches(name, left, n=1)
        if near:
            meant[name] = near[0]
            del left[near[0]]
        else:
            rest.append(name)
    return {**meant, rest[0]: next(iter(left))} if len(rest) == len(left) == 1 else meant
