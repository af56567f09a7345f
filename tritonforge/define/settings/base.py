"""What all settings have in common: frozen, refusing what they don't know, and each the form of a record of the IR."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from tritonforge.dtypes import DTYPES, from_annotation, from_numpy

__all__ = ["Count", "Datatype", "Index", "Microseconds", "Setting", "Size"]


def _spelled(given: Any) -> Any:
    """Refuse another spelling of a data type, `TYPE_STRING` or `float32`, with the one that is ours."""
    if given in (*DTYPES, "INVALID") or given is None:
        return given
    name = str(given).upper().removeprefix("TYPE_")
    meant = DTYPES["BYTES"] if name == "STRING" else DTYPES.get(name) or from_annotation(str(given))
    with contextlib.suppress(TypeError, ValueError):
        meant = meant or from_numpy(np.dtype(given))
    if meant:
        raise ValueError(f'it is written "{meant}"')
    return given


Datatype = Annotated[
    Literal[
        "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
        "BF16", "BYTES", "INVALID",
    ],
    BeforeValidator(_spelled),
]  # fmt: skip

Microseconds = Annotated[int, Field(ge=0, lt=2**64)]
Count = Annotated[int, Field(ge=0, lt=2**32)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Setting(BaseModel):
    """A group of a model's configuration. Its fields have the names of those of its record, `tritonforge.ir`'s.

    `prefixes` are what the record's spelling of a field's values has before ours: `KIND_` makes "cpu" `KIND_CPU`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    record: ClassVar[type[Any]]
    prefixes: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        """Offer the nearest name for each that there isn't."""
        unknown = [name for name in given if name not in cls.model_fields] if isinstance(given, Mapping) else []
        close = {name: get_close_matches(name, cls.model_fields, n=1) for name in unknown}
        if any(close.values()):
            guesses = (f'"{name}"' + (f'; did you mean "{near[0]}"?' if near else "") for name, near in close.items())
            raise ValueError(f"Extra inputs are not permitted: {', '.join(guesses)}")
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _switch(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuse a word for a switch: pydantic takes "yes" and "off"."""
        switch = cls.model_fields[info.field_name or ""].annotation in (bool, bool | None)
        if switch and isinstance(given, str):
            raise ValueError(f'it is True or False, not "{given}"')
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _list(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuse one setting for a list of them: pydantic would take it for a list of its fields."""
        name = info.field_name or ""
        annotation = cls.model_fields[name].annotation
        listed = any(get_origin(one) is tuple for one in (annotation, *get_args(annotation)))
        if listed and isinstance(given, Setting):
            kind = type(given).__name__
            raise ValueError(f"it takes a list, and found one {kind}; write {name}=[{kind}(…)]")
        return given

    def lower(self) -> Any:
        """Make the record."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return self.record(**{name: self._lowered(name, value) for name, value in values.items()})

    @classmethod
    def lift(cls, record: Any, **given: Any) -> Self:
        """Make the setting of a record; `given` are fields that the record hasn't.

        Raises:
            ValidationError: the record says what the setting doesn't allow.
        """
        hints = get_type_hints(cls)
        names = [name for name in cls.model_fields if hasattr(record, name)]
        return cls(**{name: _lifted(cls, name, getattr(record, name), hints[name]) for name in names}, **given)

    def _lowered(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and name in self.prefixes:
            return "TYPE_STRING" if (name, value) == ("data_type", "BYTES") else self.prefixes[name] + value.upper()
        if isinstance(value, Mapping):
            return tuple((key, _each(value[key])) for key in sorted(value))
        return _each(value)


def _each(value: Any) -> Any:
    if isinstance(value, Setting):
        return value.lower()
    return tuple(map(_each, value)) if isinstance(value, tuple) else value


def _lifted(setting: type[Setting], name: str, value: Any, hint: Any) -> Any:
    inner = next(iter(_settings(hint)), None)
    if isinstance(value, str) and name in setting.prefixes:
        short = "BYTES" if value == "TYPE_STRING" else value.removeprefix(setting.prefixes[name])
        return short if name == "data_type" else short.lower()
    if isinstance(value, tuple) and any(_is_mapping(one) for one in (hint, *get_args(hint))):
        return {key: inner.lift(one) if inner else one for key, one in value}
    if isinstance(value, tuple):
        return tuple(inner.lift(one) if inner else one for one in value)
    return inner.lift(value) if inner and value is not None else value


def _is_mapping(hint: Any) -> bool:
    origin = getattr(hint, "__origin__", None)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _settings(hint: Any) -> list[type[Setting]]:
    if isinstance(hint, type) and not get_args(hint) and issubclass(hint, Setting):
        return [hint]
    return [found for argument in get_args(hint) for found in _settings(argument)]
