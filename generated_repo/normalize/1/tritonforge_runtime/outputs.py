"""The form that results must have: every output, in order, of its dtype and shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .batch import Array
from .errors import InvalidArgument, InvalidResult
from .pending import Pending
from .said import read_said
from .spec import ModelSpec, TensorSpec
from .strings import encode, require_text

__all__ = ["Arguments", "Outputs"]


class Outputs:
    """The check of results against a model's outputs."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._names = tuple(output.name for output in spec.outputs)
        self._checks = tuple(_Check(output, batched=spec.batched) for output in spec.outputs)
        only = spec.outputs[0] if spec.batched and len(spec.outputs) == 1 else None
        self._plain = only.numpy if only is not None and only.datatype != "BYTES" else None
        self._dims = only.dims if only is not None else ()

    def arrange(self, result: object, rows: int | None) -> list[Array]:
        """Give the arrays of a result in the order of the outputs.

        A result is one array where there is one output, or a tuple or NamedTuple in the order of the outputs, or a
        mapping by name. Each array must have its output's dtype and dimensions and, of a batched model, `rows` rows.

        Raises:
            InvalidResult: it has another form; the message names the output, what was found and what is wanted.
        """
        if type(result) is np.ndarray and result.dtype is self._plain and result.shape == (rows, *self._dims):
            return [result]  # as of most models
        return [check(value, rows) for check, value in zip(self._checks, self._values(result), strict=True)]

    def _values(self, result: object) -> tuple[object, ...]:
        names = self._names
        if not isinstance(result, tuple) and isinstance(result, Mapping):
            if result.keys() != set(names):
                raise InvalidResult(f"returned a mapping of {_names(result)}; wanted {_names(names)}")
            return tuple(result[name] for name in names)
        if not isinstance(result, tuple):
            if len(names) > 1 and not isinstance(result, np.ndarray):
                raise InvalidResult(
                    f"returned {_spell(result)}; wanted a tuple of {len(names)} arrays: {_names(names)}"
                )
            result = (result,)
        if len(result) != len(names):
            raise InvalidResult(f"returned {_count(len(result))}; wanted {_count(len(names))}: {_names(names)}")
        return result


class Arguments:
    """The check of arguments against a model's inputs, of calls that the user's code makes."""

    def __init__(self, spec: ModelSpec) -> None:
        self._model = spec.name
        self._batched = spec.batched
        self._checks = {tensor.name: _Check(tensor, batched=spec.batched, what="argument") for tensor in spec.inputs}
        self._required = frozenset(tensor.name for tensor in spec.inputs if not tensor.optional)
        self._names = spec.arguments
        self._parameters = spec.request_parameters

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give a call's arguments by name; one that is pending isn't looked at.

        Raises:
            InvalidArgument: one is missing, unknown, or not of its input's dtype or shape.
        """
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        there = {name for name, value in given.items() if value is not None}
        if len(args) > len(self._names) or not self._required <= there or not given.keys() <= set(self._names):
            count = f"{len(args)} argument{'s' * (len(args) > 1)}" if args else ""
            found = ", ".join(filter(None, [count, *kwargs])) or "nothing"
            raise InvalidArgument(f"{self._model} takes {', '.join(self._names)}; got {found}")
        if self._parameters:
            place = f'{self._model}: argument "{self._parameters}"'
            given[self._parameters] = read_said(place, given.get(self._parameters))
        rows: int | None = None
        for name, check in self._checks.items():
            if name in there and type(given[name]) is not Pending:
                try:
                    given[name] = check(given[name], rows)
                except InvalidResult as error:
                    raise InvalidArgument(f"{self._model}: {error}") from None
                rows = len(given[name]) if self._batched else None
        return given


class _Check:
    """The check of one output, or of another array, with everything worked out beforehand."""

    def __init__(self, spec: TensorSpec, *, batched: bool, what: str = "output") -> None:
        self._place = f'{what} "{spec.name}"'
        self._wanted = spec.describe(batched=batched)
        self._dtype = spec.numpy
        self._strings = spec.datatype == "BYTES"
        self._text = spec.text
        self._batched = batched
        self._dims = (-1, *spec.dims) if batched else spec.dims
        self._fixed = None if -1 in spec.dims else spec.dims
        self._plain = None if self._strings or not batched else self._dtype
        self._sizes = spec.dims

    def __call__(self, value: object, rows: int | None) -> Array:
        if type(value) is np.ndarray and value.dtype is self._plain and value.shape == (rows, *self._sizes):
            return value  # as nearly all are
        if not isinstance(value, np.ndarray):
            raise self._error(f"is {_spell(value)}", f"an np.ndarray of {self._wanted}")
        if isinstance(value, np.ma.MaskedArray):
            raise self._error("is a masked array", f"{self._wanted} without gaps: .filled(…) says what they are")
        value = np.asarray(value)  # Triton's tensors take no subclass that changes what an array does
        if self._strings:
            if value.dtype.kind not in "OSU":
                raise self._error(f"is {_describe(value)}", self._wanted)
            value = encode(value, self._place)
            if self._text:
                require_text(value, self._place)
        elif value.dtype != self._dtype:
            if value.dtype.newbyteorder("=") != self._dtype:
                raise self._error(
                    f"is {_describe(value)}", f'{self._wanted} (convert it: .astype("{self._dtype.name}"))'
                )
            value = value.astype(self._dtype)  # from the other byte order
        if not self._fits(value.shape):
            raise self._error(f"has shape {list(value.shape)}", self._wanted)
        if self._batched and rows is not None and value.shape[0] != rows:
            raise self._error(f"has {value.shape[0]} rows", f"{rows}, one for each row of the inputs")
        return value

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if self._fixed is not None:
            return len(shape) == len(self._dims) and shape[self._batched :] == self._fixed
        return len(shape) == len(self._dims) and all(
            dim in (-1, size) for dim, size in zip(self._dims, shape, strict=True)
        )

    def _error(self, found: str, wanted: str) -> InvalidResult:
        return InvalidResult(f"{self._place} {found}; wanted {wanted}")


def _describe(array: np.ndarray[Any, Any]) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _spell(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _names(names: Iterable[object]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _count(number: int) -> str:
    return "1 output" if number == 1 else f"{number} outputs"
