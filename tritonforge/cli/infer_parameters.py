"""The `--parameter` options of `tritonforge infer`, as the parameters that a request carries."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NoReturn

from tritonforge.request_parameters import Parameter, check_parameter

__all__ = ["BadParameter", "read_parameters"]

_SEQUENCES = "this command sends one request; from Python, client.sequence(…)"
_KINDS = (bool, int, float, str)


class BadParameter(ValueError):
    """A `--parameter` that can't be read, or can't be sent."""


def read_parameters(options: Sequence[str]) -> dict[str, Parameter]:
    """Read `NAME=VALUE` options. Raise BadParameter, naming the option, where one can't be read or sent."""
    parameters: dict[str, Parameter] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not name or not equals:
            raise BadParameter(f"--parameter {option}: wanted NAME=VALUE")
        if name in parameters:
            raise BadParameter(f'the parameter "{name}" is given twice')
        value = parameters[name] = _read_value(name, text)
        try:
            check_parameter(name, value, sequences=_SEQUENCES)
        except (TypeError, ValueError) as error:
            raise BadParameter(str(error)) from error
    return parameters


def _read_value(name: str, text: str) -> Parameter:
    """Read a boolean, a number or a text in quotes as JSON has them; what is no JSON is the text."""
    try:
        value = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, _KINDS):
        hint = f"as a text it goes in JSON's quotes: --parameter '{name}={json.dumps(text, ensure_ascii=False)}'"
        raise BadParameter(f'the parameter "{name}" is {text}; the protocol has bool, int, float and text; {hint}')
    if isinstance(value, float) and not math.isfinite(value):
        raise BadParameter(f'the parameter "{name}" is {text}, which is too large for a float')
    return value


def _no_json(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's reader takes for numbers."""
    raise ValueError(constant)
