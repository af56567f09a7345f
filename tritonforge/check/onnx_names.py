"""Names that a graph doesn't have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from tritonforge.check.finding import Found, error

__all__ = ["no_such"]


def no_such(path: str, kind: str, name: str, known: Sequence[str], meant: Mapping[str, str]) -> Found:
    """Find that the graph has no input or output of a name."""
    near = [meant[name]] if name in meant else get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"its {kind}s are {', '.join(sorted(known))}"
    return error("TF686", path, f'the graph has no {kind} "{name}"', hint)
