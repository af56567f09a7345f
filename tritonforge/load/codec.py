"""Frozen dataclasses as JSON and back: one key a field, tuples as lists, what is missing takes the field's default."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
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
        return typing.cast(T, _decode(kind, value))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


def _decode(kind: Any, value: Any) -> Any:  # noqa: PLR0911 - one line a kind
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _decode(next(argument for argument in arguments if argument is not type(None)), value)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        _check_whole(kind, value)
        return kind(**{name: _decode(hints[name], value[name]) for name in names if name in value})  # type: ignore[operator]
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_decode(item_kind, item) for item_kind, item in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {_decode(arguments[0], key): _decode(arguments[1], item) for key, item in value.items()}
    if kind in (int, float):
        return kind(value)
    if kind is str and not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _check_whole(kind: Any, value: Any) -> None:
    """Raise TypeError where a field is missing that has no default."""
    none = dataclasses.MISSING
    needed = [f.name for f in dataclasses.fields(kind) if f.init and f.default is none and f.default_factory is none]
    if lacking := [name for name in needed if name not in value]:
        more = " …" if len(lacking) > _NAMED else ""
        raise TypeError(f"a {kind.__name__} has no {', '.join(lacking[:_NAMED])}{more}")
