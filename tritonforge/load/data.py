"""The input of requests: made from the model's signature, or read from a file, and the answers beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.load.data_files import READERS
from tritonforge.load.errors import InvalidLoad
from tritonforge.load.settings import Data, ModelLoad
from tritonforge.load.signature import Input, ServedModel

__all__ = ["Sample", "make_samples"]

Array = NDArray[Any]
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
_INTEGERS = 128


@dataclass(frozen=True, slots=True)
class Sample:
    """The arrays of one request, with their batch dimension, by name; and of its answer, where it is known."""

    inputs: dict[str, tuple[str, Array]]
    expected: dict[str, Array] | None = None


def make_samples(served: ServedModel, load: ModelLoad, seed: int) -> list[Sample]:
    """Make the requests that are sent in turn. Raise InvalidLoad where the input can't be made or doesn't fit."""
    if load.batch_size < 1 or load.batch_size > max(served.max_batch_size, 1):
        limit = f"at most {served.max_batch_size}" if served.max_batch_size else "1: the model doesn't batch"
        raise InvalidLoad(f"{served.name}: batch size {load.batch_size}; it takes {limit}")
    if load.data.source in ("random", "zeros"):
        return list(_made(served, load, np.random.default_rng(seed)))
    return list(_read(served, load))


def _made(served: ServedModel, load: ModelLoad, random: np.random.Generator) -> Iterator[Sample]:
    batch = (load.batch_size,) if served.max_batch_size else ()
    zeros = load.data.source == "zeros"
    for _ in range(1 if zeros else max(1, load.data.payloads)):
        inputs = {}
        for tensor in served.inputs:
            shape = batch + served.shape(tensor, load.data.shapes, load.data.dimensions.get(tensor.name, ()))
            inputs[tensor.name] = (
                tensor.datatype,
                _zeros(tensor, shape) if zeros else _random(tensor, shape, random, load.data),
            )
        yield Sample(inputs)


def _zeros(tensor: Input, shape: tuple[int, ...]) -> Array:
    return np.full(shape, b"", object) if tensor.datatype == "BYTES" else np.zeros(shape, DTYPES[tensor.datatype].numpy)


def _random(tensor: Input, shape: tuple[int, ...], random: np.random.Generator, data: Data) -> Array:
    """Draw floats from [0, 1), integers from 0 to 127, booleans, lower-case letters and digits."""
    if tensor.datatype == "BYTES":
        letters = random.choice(_LETTERS, (int(np.prod(shape)), data.string_length))
        array = np.empty(len(letters), object)
        array[:] = [row.tobytes() for row in letters]
        return array.reshape(shape)
    dtype = DTYPES[tensor.datatype].numpy
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    return (
        random.integers(0, _INTEGERS, shape).astype(dtype) if dtype.kind in "iu" else random.random(shape).astype(dtype)
    )


def _read(served: ServedModel, load: ModelLoad) -> Iterator[Sample]:
    path = Path(load.data.source)
    reader = READERS.get(path.suffix)
    if reader is None:
        raise InvalidLoad(f"data {load.data.source!r}: it is random, zeros, or a file: *{', *'.join(READERS)}")
    if not path.is_file():
        raise InvalidLoad(f"data {load.data.source!r}: no such file")
    try:
        rows = list(reader(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidLoad(f"{path}: {error}") from error
    if served.max_batch_size:
        rows = _batched(rows, load.batch_size, str(path))
    if not rows:
        raise InvalidLoad(f"{path}: it holds no rows")
    names = {tensor.name for tensor in served.inputs}
    for row in rows:
        inputs = {
            tensor.name: (tensor.datatype, _fitted(tensor, row, served, str(path))) for tensor in _present(served, row)
        }
        expected = {
            name.removeprefix("expected:"): np.asarray(value) for name, value in row.items() if name not in names
        }
        if load.data.check and not expected:
            raise InvalidLoad(f"{path}: there are no answers to check beside the inputs {', '.join(sorted(names))}")
        yield Sample(inputs, expected if load.data.check else None)


def _present(served: ServedModel, row: Mapping[str, Any]) -> list[Input]:
    missing = [tensor.name for tensor in served.inputs if tensor.name not in row and not tensor.optional]
    if missing:
        raise InvalidLoad(f'{served.name}: the data have no "{missing[0]}"; they have {", ".join(row)}')
    return [tensor for tensor in served.inputs if tensor.name in row]


def _fitted(tensor: Input, row: Mapping[str, Any], served: ServedModel, path: str) -> Array:
    """Give the array its type and rank: flat data take the shape of a tensor without variable dimensions."""
    array = np.asarray(row[tensor.name])
    array = array.astype(object) if tensor.datatype == "BYTES" else array.astype(DTYPES[tensor.datatype].numpy)
    batch = array.shape[:1] if served.max_batch_size else ()
    wanted = batch + tensor.dims
    if -1 not in wanted and array.size == np.prod(wanted):
        return array.reshape(wanted)
    if array.ndim != len(wanted) or any(
        size not in (-1, found) for size, found in zip(wanted, array.shape, strict=True)
    ):
        raise InvalidLoad(f'{path}: "{tensor.name}" has the shape {list(array.shape)}; the model takes {list(wanted)}')
    return array


def _batched(rows: list[dict[str, Any]], size: int, path: str) -> list[dict[str, Any]]:
    """Stack rows by as many as a batch has; the last ones begin anew, so that each batch is full."""
    if not rows:
        return rows
    count = -(-len(rows) // size)
    groups = [[rows[(start * size + item) % len(rows)] for item in range(size)] for start in range(count)]
    try:
        return [{name: np.stack([np.asarray(row[name]) for row in group]) for name in group[0]} for group in groups]
    except (KeyError, ValueError) as error:
        raise InvalidLoad(f"{path}: rows can't be stacked to batches of {size}: {error}") from error
