"""The `--input` options of `tritonforge infer`, as the arrays that a model wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tritonforge.cli.infer_cast import Array, cast_array, cast_values
from tritonforge.cli.infer_files import Literal, Source, read_file, read_mapping
from tritonforge.client.tensors.lists import shape_of
from tritonforge.ir import Signature, TensorSpec

__all__ = ["BadInput", "make_arrays", "read_sources"]

T = TypeVar("T")


class BadInput(ValueError):
    """An `--input` that can't be read, or can't be what the model wants."""


def read_sources(options: Sequence[str]) -> dict[str, Source]:
    """Read `name=value`, `name=@file` and `@file` options. Raise BadInput, naming the file or the option."""
    sources: dict[str, Source] = {}
    for option in options:
        for name, source in _read_option(option).items():
            if name in sources:
                raise BadInput(f'input "{name}" is given twice')
            sources[name] = source
    return sources


def make_arrays(sources: Mapping[str, Source], signature: Signature) -> dict[str, Array]:
    """Make the arrays of the inputs: cast where that loses nothing, with the batch dimension where just that lacks.

    Shapes are not checked further: the client does. Raise BadInput, naming the input.
    """
    arrays = {}
    for name, source in sources.items():
        spec = signature.input(name)
        if spec is None:
            known = ", ".join(spec.name for spec in signature.inputs) or "none"
            raise BadInput(f'there is no input "{name}"; there are: {known}')
        arrays[name] = _make_array(source, spec, batched=signature.batched)
    return arrays


def _read_option(option: str) -> Mapping[str, Source]:
    if option.startswith("@"):
        return _read(read_mapping, option[1:])
    name, equals, value = option.partition("=")
    if not name or not equals:
        raise BadInput(f"--input {option}: wanted name=value, name=@file, or @file for a file with names in it")
    return {name: _read(read_file, value[1:]) if value.startswith("@") else Literal(value)}


def _read(reader: Callable[[str], T], path: str) -> T:
    try:
        return reader(path)
    except OSError as error:
        raise BadInput(f"{path or '@'}: {error.strerror or error}") from error
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from error


def _make_array(source: Source, spec: TensorSpec, *, batched: bool) -> Array:
    try:
        content = source.content(text=spec.datatype == "BYTES", name=spec.name)
        if isinstance(content, np.ndarray):
            array = cast_array(content, spec.datatype)
        else:
            shape, values = _flatten(content)
            array = cast_values(values, spec.datatype).reshape(shape)
    except ValueError as error:
        raise BadInput(f'input "{spec.name}": {error}; {spec.describe(batched=batched)} wanted') from error
    return _completed(array, spec, batched=batched)


def _flatten(value: object) -> tuple[tuple[int, ...], list[object]]:
    """Give the shape and the values of nested lists. Raise ValueError where they are not regular."""
    shape = shape_of(value)
    values: list[Any] = value if isinstance(value, list) else [value]
    for _ in shape[1:]:
        values = [item for row in values for item in row]
    return shape, values


def _completed(array: Array, spec: TensorSpec, *, batched: bool) -> Array:
    """Add the dimensions that people leave out: all of a single value, the batch of a single row."""
    rank = len(spec.dims) + batched
    if array.ndim == 0:
        return array.reshape((1,) * rank)
    # One value a row: a list is the values of as many rows. A table of one column is that list, too.
    if batched and array.ndim == rank - 1:
        return array[:, np.newaxis] if spec.dims == (1,) else array[np.newaxis]
    if array.ndim == 2 and rank == 1 and 1 in array.shape:
        return array.reshape(-1)
    return array
