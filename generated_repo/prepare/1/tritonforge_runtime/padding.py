"""Requests that differ in a padded dimension: filled up to one size and stacked, with masks; results cut back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .awaitables import then
from .batch import Array, Inputs, join, kind
from .errors import InvalidResult, Refused

__all__ = ["PaddedDim", "Padding"]


@dataclass(frozen=True, slots=True)
class PaddedDim:
    """A dimension that is filled with `value`, up to the next of `buckets`, or of the longest request.

    `inputs` and `outputs` are the tensors that have it: (name, axis), where axis 0 is the batch. `mask` says that the
    function takes a mask of it, as the parameter `<name>_mask`.
    """

    name: str
    value: object
    buckets: Sequence[int] = ()
    inputs: Sequence[tuple[str, int]] = ()
    outputs: Sequence[tuple[str, int]] = ()
    mask: bool = False

    def target(self, sizes: Iterable[int | None]) -> int:
        """Give the size to fill up to."""
        longest = max((size for size in sizes if size is not None), default=0)
        return min((bucket for bucket in self.buckets if bucket >= longest), default=longest)


class Padding:
    """The padding of one model. Requests are given and taken as tuples in the order of its inputs and outputs.

    The last of `inputs` may be the argument that takes the request's parameters.
    """

    def __init__(self, dims: Sequence[PaddedDim], inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._dims = dims
        self._results = outputs
        self._inputs = [[(inputs.index(name), axis, name) for name, axis in dim.inputs] for dim in dims]
        self._outputs = [[(outputs.index(name), axis, name) for name, axis in dim.outputs] for dim in dims]
        self.masks = tuple(f"{dim.name}_mask" for dim in dims if dim.mask)
        self._padded = [
            {axis: (dim, of.value) for dim, of in enumerate(dims) for name, axis in of.inputs if name == tensor}
            for tensor in inputs
        ]

    def sizes(self, inputs: Inputs) -> tuple[int | None, ...]:
        """Give the size of each padded dimension in a request; None where no input tells.

        Raises:
            Refused: two inputs disagree, or a dimension is longer than its largest bucket.
        """
        return tuple(map(self._size, self._dims, self._inputs, [inputs] * len(self._dims)))

    def group(self, requests: Iterable[tuple[int, Inputs]]) -> list[list[tuple[int, Inputs]]]:
        """Put together the requests that can be stacked: the same inputs present, alike but for padded dimensions."""
        groups: dict[tuple[object, ...], list[tuple[int, Inputs]]] = {}
        for index, inputs in requests:
            key = tuple(map(self._shape, inputs, self._padded))
            groups.setdefault(key, []).append((index, inputs))
        return list(groups.values())

    def stack(self, requests: Sequence[Inputs], rows: Sequence[int]) -> tuple[Inputs, Cut]:
        """Join requests along the batch, filled up; the masks come last. Gives how to cut results, too."""
        sizes = [self.sizes(inputs) for inputs in requests]
        targets = [dim.target(of) for dim, of in zip(self._dims, zip(*sizes, strict=True), strict=True)]
        columns = [
            self._column(column, padded, targets) if padded and column[0] is not None else join(column)
            for column, padded in zip(zip(*requests, strict=True), self._padded, strict=True)
        ]
        masks = [
            _mask([size[place] or 0 for size in sizes], rows, targets[place])
            for place, dim in enumerate(self._dims)
            if dim.mask
        ]
        return (*columns, *masks), lambda outputs: self._cut(outputs, rows, sizes, targets)

    def around(self, function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
        """Wrap a function that is called for one request: it gets padded inputs, and its results are cut back."""

        def call(**given: Any) -> Any:
            inputs = tuple(given.get(name) for name in names)
            rows = next(len(array) for array in inputs if array is not None)
            padded, cut = self.stack([inputs], [rows])
            result = function(**dict(zip((*names, *self.masks), padded, strict=True)))
            return then(result, lambda found: self._cut_as_returned(found, cut))

        return call

    def _cut_as_returned(self, result: Any, cut: Cut) -> Any:
        """Cut what a function returned for one request, and leave its form."""
        try:
            if isinstance(result, Mapping):
                return dict(zip(self._results, cut([result[name] for name in self._results])[0], strict=True))
            if not isinstance(result, tuple):
                return cut([result])[0][0]
            parts = cut(result)[0]
        except (AttributeError, LookupError):
            return result  # of the wrong form, which the check of results explains
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)

    def _size(self, dim: PaddedDim, places: Sequence[tuple[int, int, str]], inputs: Inputs) -> int | None:
        known: int | None = None
        owner = ""
        for place, axis, name in places:
            array = inputs[place]
            if array is None:
                continue
            if known is not None and array.shape[axis] != known:
                raise Refused(
                    f'{dim.name} is {array.shape[axis]} in input "{name}", but {known} in "{owner}"', "INVALID_ARG"
                )
            known, owner = array.shape[axis], name
        if dim.buckets and known is not None and known > dim.buckets[-1]:
            most = f"the {dim.buckets[-1]} that it takes at most (pad_to)"
            raise Refused(f"{dim.name} is {known}, longer than {most}", "INVALID_ARG")
        return known

    @staticmethod
    def _shape(array: Any, padded: dict[int, tuple[int, object]]) -> object:
        if array is None or not padded:
            return kind(array)
        return tuple(-1 if axis in padded else size for axis, size in enumerate(array.shape[1:], start=1))

    @staticmethod
    def _column(arrays: Sequence[Any], padded: dict[int, tuple[int, object]], targets: Sequence[int]) -> Array:
        first: Array = arrays[0]
        shape = tuple(targets[padded[axis][0]] if axis in padded else size for axis, size in enumerate(first.shape))[1:]
        if all(array.shape[1:] == shape for array in arrays):
            return first if len(arrays) == 1 else np.concatenate(arrays)
        value: Any = next(value for _, value in padded.values())
        filled = np.full((sum(map(len, arrays)), *shape), value, first.dtype)
        start = 0
        for array in arrays:
            place = (slice(start, start + len(array)), *map(slice, array.shape[1:]))
            filled[place] = array
            start += len(array)
        return filled

    def _cut(
        self,
        outputs: Sequence[Array],
        rows: Sequence[int],
        sizes: Sequence[tuple[int | None, ...]],
        targets: Sequence[int],
    ) -> list[list[Array]]:
        """Give the outputs of each request, views of its own rows and sizes."""
        cuts: list[dict[int, int]] = [{} for _ in outputs]
        for index, places in enumerate(self._outputs):
            if all(size[index] is None for size in sizes):
                continue
            for place, axis, name in places:
                found = outputs[place].shape[axis]
                if found != targets[index]:
                    raise InvalidResult(
                        f'output "{name}" has {self._dims[index].name} {found}; wanted {targets[index]}, as padded'
                    )
                cuts[place][axis] = index
        parts = []
        start = 0
        for count, of in zip(rows, sizes, strict=True):
            own = slice(start, start + count)
            indices = [{axis: slice(of[dim]) for axis, dim in cut.items()} for cut in cuts]
            parts.append([_take(array, own, place) for array, place in zip(outputs, indices, strict=True)])
            start += count
        return parts


Cut = Callable[[Sequence[Array]], list[list[Array]]]


def _take(array: Array, rows: slice, place: dict[int, slice]) -> Array:
    index = (rows, *(place.get(axis, slice(None)) for axis in range(1, array.ndim)))
    return array[index]


def _mask(sizes: Sequence[int], rows: Sequence[int], target: int) -> Array:
    return np.arange(target) < np.repeat(np.asarray(sizes, int), np.asarray(rows, int))[:, None]
