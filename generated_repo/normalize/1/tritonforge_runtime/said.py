"""Request parameters that the user's code says to a model which it calls: held to what a request can say."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .batch import RequestParameters
from .errors import InvalidArgument

__all__ = ["read_said"]

_OF_SEQUENCES = ("sequence_id", "sequence_start", "sequence_end")
_OF_QUEUES = {"priority": "a level of the model's queue", "timeout": "the limit in the queue in microseconds"}
_RESERVED, _FORM_OF_ANSWERS = "triton_", "binary_data_output"


def read_said(place: str, given: object) -> RequestParameters:
    """Give what a called model gets of the argument at `place`, as in an eager call: not what is for Triton's queues.

    Raises:
        InvalidArgument: it is no mapping of names to what a request can say.
    """
    if given is None:
        return RequestParameters()
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"{place} is of type {type(given).__name__}; wanted a mapping: the request's parameters")
    said = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
    for name, value in said.items():
        if not isinstance(name, str):
            raise InvalidArgument(f"{place} has the key {name!r}; a parameter's name is a str")
        if not isinstance(value, str | int | float):
            kind = type(value).__name__
            raise InvalidArgument(f'{place} has "{name}" of type {kind}; a parameter is a str, int, float or bool')
        if problem := _problem(name, value):
            raise InvalidArgument(f"{place}: {problem}")
    return RequestParameters({name: value for name, value in said.items() if name not in _OF_QUEUES})


def _problem(name: str, value: str | float) -> str:
    """Say what keeps a parameter from being sent; nothing where nothing does."""
    place = f'the parameter "{name}"'
    if name in _OF_SEQUENCES:
        return f"{place} is of sequences: no model sees it"
    if name == _FORM_OF_ANSWERS or name.startswith(_RESERVED):
        return f"{place} has a name that Triton takes for itself; take another"
    if name in _OF_QUEUES and (type(value) is not int or value < 0):
        found, wanted = (value, "0 or more") if type(value) is int else (f"a {type(value).__name__}", "an int")
        return f"{place} is {found}; it is {_OF_QUEUES[name]}, {wanted}"
    return _unsayable(place, value) or _unencodable("a parameter's name", name)


def _unsayable(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return _unencodable(place, value)
    if type(value) is int:
        return "" if -(1 << 63) <= value < 1 << 63 else f"{place} is {value}; an integer of the protocol has 64 bits"
    return "" if math.isfinite(value) else f"{place} is {value}; it is a finite number, as JSON has no other"


def _unencodable(what: str, text: str) -> str:
    if "\0" in text:
        return f"{what} is {text!r}: Triton takes it for what comes before the NUL; leave that out"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"{what} is {text!r}, which has no form in UTF-8: {error.reason}"
    return ""
