"""Calls of a served model with more rows than it takes, or with none: Triton refuses both, and eager Python doesn't."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from .batch import Array
from .dimensions import NamedDim
from .errors import InvalidArgument, TritonError
from .spec import ModelSpec, TensorSpec

__all__ = ["Slices"]

_MOST_AT_ONCE = 16
"""How many slices of one instance's calls are under way at once."""

Outputs = Mapping[str, Array]
Exchange = Callable[[Mapping[str, Array]], Outputs]


class Slices:
    """Sends calls of a batched model: one of more than `most_rows` in slices, at once; one of none not at all.

    `most_rows` is 0 where nothing is known of it. `dims` tell how large outputs are of which no row is there.
    """

    def __init__(self, spec: ModelSpec, exchange: Exchange, most_rows: int, dims: Sequence[NamedDim]) -> None:
        self._spec = spec
        self._exchange = exchange
        self._most_rows = most_rows
        self._like = {place: dim.inputs for dim in dims for place in dim.outputs}

    def __call__(self, arrays: Mapping[str, Array]) -> Outputs:
        """Send arrays by input name; give the outputs by name.

        Raises:
            InvalidArgument: there are no rows, and the model has an output of which nothing tells the dimensions.
            TritonError: the model refused or failed for these arrays.
        """
        rows = len(next(iter(arrays.values()))) if arrays else 1
        if rows == 0:
            return self._without_rows(arrays)
        if rows <= self._most_rows or not self._most_rows:
            return self._exchange(arrays)
        slices = [
            {name: array[start : start + self._most_rows] for name, array in arrays.items()}
            for start in range(0, rows, self._most_rows)
        ]
        answers = list(_threads().map(self._exchange, slices))
        return {name: self._join(name, [answer[name] for answer in answers]) for name in answers[0]}

    def check(self, arrays: Mapping[str, Array]) -> None:
        """Look at a call before it is sent.

        Raises:
            InvalidArgument: there are no rows, and the model has an output of which nothing tells the dimensions.
        """
        if arrays and not len(next(iter(arrays.values()))):
            self._without_rows(arrays)

    def _without_rows(self, arrays: Mapping[str, Array]) -> Outputs:
        return {spec.name: np.empty((0, *self._sizes(spec, arrays)), spec.numpy) for spec in self._spec.outputs}

    def _sizes(self, spec: TensorSpec, arrays: Mapping[str, Array]) -> list[int]:
        sizes = []
        for axis, dim in enumerate(spec.dims, start=1):
            known = [
                arrays[name].shape[place] for name, place in self._like.get((spec.name, axis), ()) if name in arrays
            ]
            if dim < 0 and not known:
                output = f'output "{spec.name}", {spec.describe(batched=True)}'
                reason = f"got no rows, and nothing tells the dimensions of {output}, without any"
                raise InvalidArgument(f"{self._spec.name}: {reason}; call it only where there are rows")
            sizes.append(known[0] if dim < 0 else dim)
        return sizes

    def _join(self, name: str, parts: Sequence[Array]) -> Array:
        shapes = dict.fromkeys(part.shape[1:] for part in parts)
        if len(shapes) > 1:
            found = " and ".join(str(list(shape)) for shape in shapes)
            reason = f'its rows went in slices of {self._most_rows}, as it takes no more; those of output "{name}" are'
            error = TritonError(f"{reason} {found}, which can't be joined")
            error.model = self._spec.name
            raise error
        return np.concatenate(parts)


@cache
def _threads() -> ThreadPoolExecutor:
    """Give the threads of this instance that send slices; those that send calls wait for them."""
    return ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="slice")
