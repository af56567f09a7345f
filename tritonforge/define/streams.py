"""Functions that are annotated as streams, and return what is none."""

from __future__ import annotations

import dis
import itertools
from collections.abc import Callable, Collection
from typing import Any

__all__ = ["input_returned"]


def input_returned(function: Callable[..., Any], inputs: Collection[str]) -> str:
    """Name an input that a function returns as it is, where it returns nothing else.

    Empty where bytecode doesn't tell it for sure: what another function gives may well be a stream, as may what a
    decorator makes of the result.
    """
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return ""
    instructions = list(dis.get_instructions(code))
    stored = {one.argval for one in instructions if one.opname in ("STORE_FAST", "DELETE_FAST")}
    returned = [
        before.argval if before.opname == "LOAD_FAST" and not one.is_jump_target else None
        for before, one in itertools.pairwise(instructions)
        if one.opname in ("RETURN_VALUE", "RETURN_CONST")
    ]
    given = set(inputs) - stored
    return str(returned[0]) if returned and all(name in given for name in returned) else ""
