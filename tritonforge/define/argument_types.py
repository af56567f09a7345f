"""Types of the arguments that definitions have beside their options, and how to give each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tritonforge.define.sequences import Sequence
from tritonforge.define.settings import Batching, Instances

__all__ = ["mistyped"]

TYPES: dict[str, tuple[tuple[type[Any], ...], str, str]] = {
    "name": ((str,), "a str", 'write name="fraud"'),
    "batching": ((Batching,), "Batching", "write batching=Batching(max_batch_size=8)"),
    "instances": (
        (Instances,),
        "Instances",
        "write instances=Instances(cpu=2), or instance_groups=[InstanceGroup(…)] for what that can't say",
    ),
    "sequence": ((Sequence,), "Sequence", "write sequence=Sequence()"),
    "pad": ((Mapping,), "a dict of what fills up each dimension", 'write pad={"seq": 0}'),
    "pad_to": ((Iterable,), "sizes in ascending order, or a dict of them by dimension", "write pad_to=[32, 64, 128]"),
    "parameters": ((Mapping,), "a dict of strings", 'write parameters={"times": "4"}'),
}
"""Each argument's types, these in words, and what to write."""


def mistyped(name: str, given: object) -> TypeError | None:
    """Say what is wrong with an argument that is of another type than its own; nothing is wrong with None."""
    allowed, wanted, mend = TYPES[name]
    if given is None or (isinstance(given, allowed) and (str in allowed or not isinstance(given, str | bytes))):
        return None
    kind = type(given).__name__
    return TypeError(f"{name}= takes {wanted}, not {'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}; {mend}")
