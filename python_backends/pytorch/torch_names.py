"""Which argument of `forward` an input is, and which result an output, by the native backend's naming rules."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge_runtime import LoadError

__all__ = ["arguments_of", "index_of", "places_of"]


def index_of(name: str) -> int | None:
    """Give the place that a name says, as `INPUT__0` does; None where it says none."""
    _, separator, index = name.partition("__")
    return int(index or 0) if separator and (index.isdecimal() or not index) else None


def arguments_of(names: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Find the argument of `forward` that each input is.

    All names are arguments' names; or else all are `…__0`, `…__1`; or else the order in the configuration counts.

    Raises:
        LoadError: two inputs are one argument, or there are fewer arguments than inputs.
    """
    if set(names) <= set(arguments):
        return list(names)
    places = places_of(names)
    if len(set(places)) < len(places) or max(places, default=-1) >= len(arguments):
        raise LoadError(f"inputs {', '.join(names)} don't fit forward({', '.join(arguments)}), by position or by name")
    return [arguments[place] for place in places]


def places_of(names: Sequence[str]) -> list[int]:
    """Find the place of each tensor: all names are `…__0`, `…__1`, or else the order in the configuration counts."""
    indices = [index for name in names if (index := index_of(name)) is not None]
    return indices if len(indices) == len(names) else list(range(len(names)))
