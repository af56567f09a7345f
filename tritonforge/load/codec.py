"""Frozen dataclasses as JSON and back: one key a field, tuples as lists, what is missing takes the field's default."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["decode", "encode"]

T = TypeVar("T")
_NAMED = 3


def encode(value: Any) -> Any:
    """Give what `json.dumps` takes: keys of mappings become text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], value: Any) -> T:
    """Make a dataclass of what `encode` gave; keys that it doesn't know are passed over.

    Raise ValueError, naming the type and field, where something is missing or of another kind.
    """
    try:
        return typing.cast(T, _decoder(typing.cast(Any, kind))(value))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    """Give what makes values of a kind: a report has hundreds of thousands of them, of a few dozen kinds."""
    origin, arguments = get_origin(kind), get_args(kind)
    decoder: Callable[[Any], Any] = _as_it_is
    if origin in (Union, types.UnionType):
        decoder = _optional(_decoder(next(argument for argument in arguments if argument is not type(None))))
    elif dataclasses.is_dataclass(kind):
        decoder = _dataclass(kind)
    elif origin is tuple and arguments[-1] is Ellipsis:
        decoder = _sequence(_decoder(arguments[0]))
    elif origin is tuple:
        decoder = _record([_decoder(argument) for argument in arguments])
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        decoder = _mapping(_decoder(arguments[0]), _decoder(arguments[1]))
    elif kind in (int, float):
        decoder = kind
    elif kind is str:
        decoder = _text
    return decoder


def _optional(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else item(value)


def _sequence(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: tuple(map(item, value))


def _record(items: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return lambda value: tuple(decoder(item) for decoder, item in zip(items, value, strict=True))


def _mapping(key: Callable[[Any], Any], item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: {key(name): item(found) for name, found in value.items()}


def _dataclass(kind: Any) -> Callable[[Any], Any]:
    hints, fields = get_type_hints(kind), dataclasses.fields(kind)
    decoders = {field.name: _decoder(hints[field.name]) for field in fields}
    none = dataclasses.MISSING
    needed = [f.name for f in fields if f.init and f.default is none and f.default_factory is none]

    def make(value: Any) -> Any:
        if lacking := [name for name in needed if name not in value]:
            more = " …" if len(lacking) > _NAMED else ""
            raise TypeError(f"a {kind.__name__} has no {', '.join(lacking[:_NAMED])}{more}")
        return kind(**{name: decoder(value[name]) for name, decoder in decoders.items() if name in value})

    return make


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _as_it_is(value: Any) -> Any:
    return value
