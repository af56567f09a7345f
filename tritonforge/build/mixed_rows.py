"""Whether a definition answers a row as it does alone: Triton puts the rows of several requests together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tritonforge.define.arrays import Array
from tritonforge.samples import TOLERANCE, matches

__all__ = ["find_mixed"]

_SHOWN = 4

Request = Mapping[str, Any]


def find_mixed(samples: Sequence[Request], run: Callable[[Request], Mapping[str, Array]], *, whole: str) -> str:
    """Say which row of an output hangs on the rows beside it; empty where none is found to.

    Args:
        samples: requests of a batched definition: the first of several rows is cut in two, or the first two that go
            together are put together.
        run: answers one.
        whole: the argument that is no tensor, the request's parameters, if there is one.
    """
    two = _two(samples, whole)
    if two is None:
        return ""
    first, second = two
    joined = {name: value if name == whole else np.concatenate([value, second[name]]) for name, value in first.items()}
    together = run(joined)
    alone = [run(request) for request in two]
    for name, array in together.items():
        apart = [row for answer in alone for row in answer[name]]
        for number, (lone, beside) in enumerate(zip(apart, array, strict=True)):
            if np.shape(lone) != np.shape(beside):
                shown = f"has the shape {[*np.shape(lone)]} by itself, {[*np.shape(beside)]} beside other rows"
                return f'row {number} of "{name}" {shown}'
            if not matches(np.atleast_1d(beside), np.atleast_1d(lone), TOLERANCE):
                shown = f"is {_shown(lone)} by itself, {_shown(beside)} beside other rows"
                return f'row {number} of "{name}" {shown}'
    return ""


def _two(samples: Sequence[Request], whole: str) -> tuple[Request, Request] | None:
    """Find two requests that can be put together."""
    arrays = [
        {name: value if name == whole else np.asarray(value) for name, value in sample.items() if value is not None}
        for sample in samples
    ]
    for sample in arrays:
        if all(len(value) > 1 for name, value in sample.items() if name != whole):
            cut = [
                {name: value if name == whole else value[part] for name, value in sample.items()}
                for part in (slice(None, 1), slice(1, None))
            ]
            return cut[0], cut[1]
    return next((pair for pair in pairwise(arrays) if _shapes(pair[0], whole) == _shapes(pair[1], whole)), None)


def _shapes(sample: Request, whole: str) -> Mapping[str, Any]:
    return {name: value if name == whole else value.shape[1:] for name, value in sample.items()}


def _shown(row: Array) -> str:
    return str(np.atleast_1d(row).ravel()[:_SHOWN])
