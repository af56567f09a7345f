"""The parameters of a request: what a client says beside the tensors."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from tritonforge.errors import InvalidTensor
from tritonforge.request_parameters import OF_QUEUES, Parameter, check_parameter, plain

__all__ = ["RequestParameters", "check_request_parameters", "takes_request_parameters"]

RequestParameters = Mapping[str, Parameter]
"""The parameters of a request, by name: a function's argument of this type, after its inputs, gets them.

Clients give them as `parameters`: `client.infer(…, parameters={"top_k": 3})`; in a JSON request the field of that name,
in a generate request what is no input. Requests that say the same share a call; one that says nothing gives an empty
mapping.
"""


def takes_request_parameters(annotation: Any) -> bool:
    """Say whether an annotation is RequestParameters, or that and None."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        return members == [RequestParameters]
    return bool(annotation == RequestParameters)


def check_request_parameters(model: str, name: str, given: object) -> dict[str, Parameter]:
    """Check what an eager call gives as the argument `name`, and give what the function gets of it, as served: not what
    is for Triton's queues. Nothing is no parameters.

    Raises:
        InvalidTensor: it is no mapping of names to what a request can say.
    """
    place = f'{model}: argument "{name}"'
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidTensor(f"{place} is of type {type(given).__name__}; wanted a mapping: the request's parameters")
    told: dict[str, Parameter] = {}
    for key, each in given.items():
        value = plain(each)
        if not isinstance(key, str):
            raise InvalidTensor(f"{place} has the key {key!r}; a parameter's name is a str")
        if not isinstance(value, str | int | float):
            kind = type(value).__name__
            raise InvalidTensor(f'{place} has "{key}" of type {kind}; a parameter is a str, int, float or bool')
        try:
            check_parameter(key, value, sequences="no model sees it")
        except (TypeError, ValueError) as error:
            raise InvalidTensor(f"{place}: {error}") from error
        if key not in OF_QUEUES:
            told[key] = value
    return told
