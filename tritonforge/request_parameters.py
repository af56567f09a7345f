"""Parameters of a request of the Open Inference Protocol: which ones can be sent, by the client and by a load."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["OF_QUEUES", "OF_SEQUENCES", "Parameter", "check_parameter", "plain", "require_encodable"]

Parameter = bool | int | float | str
"""A value of the protocol's parameters extension."""
OF_SEQUENCES = ("sequence_id", "sequence_start", "sequence_end")

_FORM_OF_ANSWERS, _RESERVED = "binary_data_output", "triton_"  # the former over HTTP, where no model sees it (24.10)
OF_QUEUES = {"priority": "a level of the model's queue", "timeout": "the limit in the queue in microseconds"}


_PLAIN: tuple[tuple[type[Any], type[Any]], ...] = ((np.bool_, bool), (np.integer, int), (np.floating, float))
"""What NumPy's scalars are to the protocol; its texts are Python's."""


def plain(value: object) -> object:
    """Give a scalar of NumPy's as Python has it; anything else as it is."""
    return next((python(value) for kind, python in _PLAIN if isinstance(value, kind)), value)


def check_parameter(name: str, value: Parameter, *, sequences: str) -> None:
    """Raise ValueError where a parameter can't be sent, TypeError where one of Triton's own is of another type.

    `sequences` is how the caller's requests are put in sequences instead: the end of a sentence.
    """
    if name in OF_SEQUENCES:
        raise ValueError(f'the parameter "{name}" is of sequences: {sequences}')
    if name == _FORM_OF_ANSWERS or name.startswith(_RESERVED):
        raise ValueError(f'the parameter "{name}" has a name that Triton takes for itself; take another')
    if name in OF_QUEUES:
        _require_count(name, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'the parameter "{name}" is {value}; it is a finite number, as JSON has no other')
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f'the parameter "{name}" is {value}; an integer of the protocol has 64 bits')
    require_encodable("a parameter's name", name)
    if isinstance(value, str):
        require_encodable(f'the parameter "{name}"', value)


def require_encodable(what: str, text: str) -> None:
    """Raise ValueError where a text has no form in UTF-8, as one with half of a surrogate pair, or has a NUL in it.

    Triton (24.10) takes such a text for what comes before the NUL: two sequences would be one.
    """
    if "\0" in text:
        raise ValueError(f"{what} is {text!r}: Triton takes it for what comes before the NUL; leave that out")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is {text!r}, which has no form in UTF-8: {error.reason}") from error


def _require_count(name: str, value: Parameter) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f'the parameter "{name}" is a {type(value).__name__}; it is {OF_QUEUES[name]}, an int')
    if value < 0:
        raise ValueError(f'the parameter "{name}" is {value}; it is {OF_QUEUES[name]}, 0 or more')
