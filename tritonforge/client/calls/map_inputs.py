"""A map's inputs as the requests that are made of them: arrays that are cut, or batches that are read one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tritonforge.client.call import Definition, make_inputs
from tritonforge.client.calls.batches import Piece, cut, slices_of, uneven
from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.errors import ClientError, InvalidRequest, Target
from tritonforge.client.metadata import ServedModel
from tritonforge.client.tensors.arguments import kind_of

__all__ = ["Pieces", "Read", "await_pieces", "name_item", "pieces_of", "reader"]

Read = Callable[[Any], Mapping[str, Any]]
"""Reads an item: arrays by name, one array for the one input, or a definition's arguments."""


class Pieces:
    """A map's requests, until what they are made of raises an error: that is met after the results before it."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._error: Exception | None = None

    def take(self) -> Piece | None:
        """Make the next one; None where there is none, or none can be made."""
        try:
            return None if self._error else next(self._pieces, None)
        except Exception as error:
            self._error = error
            return None

    def end(self) -> None:
        """Raise what ended them, if something did."""
        if self._error is not None:
            raise self._error


def pieces_of(inputs: Any, read: Read, size: int, target: Target) -> Iterator[Piece]:
    """Make requests of at most `size` rows; 0: of any number. Raise InvalidRequest for what is no input."""
    if isinstance(inputs, (Mapping, np.ndarray, CudaArray)):
        items: Iterable[Any] = slices_of(read(inputs), size)
        return (piece for number, item in enumerate(items) for piece in cut(number, item, size))
    if isinstance(inputs, (str, bytes)) or not isinstance(inputs, Iterable) or _is_frame(inputs):
        words = f"map() takes arrays, or an iterable of batches; this is {kind_of(inputs)}{_how_to_give(inputs)}"
        raise InvalidRequest(words.replace("async_generator", "async generator"), target)
    return (piece for number, item in enumerate(inputs) for piece in cut(number, _read(number, item, read), size))


async def await_pieces(inputs: AsyncIterable[Any], read: Read, size: int) -> AsyncGenerator[Piece, None]:
    """Make requests of batches that are waited for. Closing it closes the iterable, if that is a generator."""
    number = 0
    try:
        async for item in inputs:
            for piece in cut(number, _read(number, item, read), size):
                yield piece
            number += 1
    finally:
        if isinstance(inputs, AsyncGenerator):
            await inputs.aclose()


def name_item(error: ClientError, piece: Piece) -> ClientError:
    """Say in an error which item it was."""
    _number(error, piece.item, f", part {piece.part + 1} of {piece.parts}" if piece.parts > 1 else "")
    return error


def reader(model: str | Definition[Any], served: ServedModel, target: Target) -> Read:
    """Give what reads an item."""
    if not isinstance(model, str):
        definition = model

        def read_arguments(item: Any) -> Mapping[str, Any]:
            if isinstance(item, Mapping):
                return make_inputs(definition, (), item, target)
            return make_inputs(definition, item if isinstance(item, tuple) else (item,), {}, target)

        return read_arguments

    def read(item: Any) -> Mapping[str, Any]:
        if isinstance(item, Mapping):
            problem = uneven(item) if served.signature.batched else ""
            if problem:
                raise InvalidRequest(f"{problem}: they are cut along the same batch", target)
            return item
        if len(served.signature.inputs) != 1:
            names = ", ".join(spec.name for spec in served.signature.inputs)
            raise InvalidRequest(f"it is no mapping, and the model has several inputs: {names}", target)
        return {served.signature.inputs[0].name: item}

    return read


def _read(number: int, item: Any, read: Read) -> Mapping[str, Any]:
    """Read an item; an error says which it was."""
    try:
        return read(item)
    except ClientError as error:
        _number(error, number)
        raise


def _number(error: ClientError, item: int, part: str = "") -> None:
    error.reason = f"item {item}{part}: {error.reason}"


def _is_frame(inputs: object) -> bool:
    """Tell whether it is a table, as of pandas or polars: to iterate over one gives names or columns, not batches."""
    return hasattr(inputs, "columns") and hasattr(inputs, "to_numpy")


def _how_to_give(inputs: object) -> str:
    if isinstance(inputs, AsyncIterable):
        return ", which AsyncClient reads from"
    return ": {name: frame[name].to_numpy() for name in frame.columns}" if _is_frame(inputs) else ""
