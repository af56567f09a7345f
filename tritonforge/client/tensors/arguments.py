"""What is said of arguments of a wrong type, before they fail somewhere inside. Nothing here is called for a request
like an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from tritonforge.request_parameters import check_parameter, plain, require_encodable

__all__ = [
    "checked_parameters",
    "kind_of",
    "list_outputs",
    "named_as_option",
    "named_input",
    "require_name",
    "require_number",
    "require_request_id",
    "require_setting",
    "with_article",
]

_KINDS = (bool, int, float, str)

_OPTIONS = {
    *("cast", "end", "headers", "inputs", "into", "outputs", "parameters", "request_id"),
    *("sequence_end", "sequence_id", "sequence_start", "timeout_s", "top", "version"),
}
"""The names of the options that calls have beside inputs."""

_SEQUENCES = "client.sequence(…), or infer(…, {name}=…)"


def require_name(model: object) -> None:
    """Raise TypeError where a model's name is none, as a definition isn't; ValueError where no model can have it."""
    if not isinstance(model, str):
        name = getattr(model, "name", None)
        hint = f'give its name: "{name}"' if isinstance(name, str) else "such as client.models() lists"
        raise TypeError(f"a model's name is wanted, not {kind_of(model)}; {hint}")
    if not model:
        raise ValueError("the model's name is empty; client.models() lists those that are there")
    require_encodable("the model's name", model)
    if "/" in model:
        raise ValueError(f"the model's name is {model!r}: it is that of a folder, with no / in it")


def list_outputs(outputs: object) -> list[str]:
    """List the outputs asked for. Raise TypeError where they are no iterable of names, ValueError where there are none.

    Not those of a text: it is one name.
    """
    if isinstance(outputs, str):
        raise TypeError(f'outputs is "{outputs}"; it takes a list of names: outputs=["{outputs}"]')
    if not isinstance(outputs, Iterable):
        raise TypeError(f'outputs is {kind_of(outputs)}; it takes a list of names: outputs=["scores"]')
    names = list(outputs)
    if not names:
        raise ValueError("outputs is empty; it lists the outputs that are wanted, and left out it gives all")
    other = next((name for name in names if not isinstance(name, str)), None)
    if other is not None:
        raise TypeError(f"outputs has {kind_of(other)}; it takes a list of names")
    return names


def require_request_id(request_id: object) -> None:
    """Raise TypeError where it is no text, ValueError for one that can't be sent."""
    if not isinstance(request_id, str):
        hint = named_input("request_id", request_id) or f': request_id="{request_id}"'
        raise TypeError(f"request_id is {request_id!r}; it is a text{hint}")
    require_encodable("request_id", request_id)


def checked_parameters(parameters: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Give a caller's parameters as the protocol has them: of NumPy's scalars the numbers that they are.

    Raise TypeError where they can't be sent; ValueError for a value, and for those of sequences and of Triton's own.
    """
    if not parameters:
        return None
    if not isinstance(parameters, Mapping):
        raise TypeError(f'parameters is {kind_of(parameters)}; it takes a mapping: parameters={{"tenant": "a"}}')
    checked = {}
    for name, given in parameters.items():
        value = given if isinstance(given, _KINDS) else plain(given)
        checked[name] = value
        if not isinstance(name, str):
            raise TypeError(f"the parameter {name!r} has {kind_of(name)} for its name; it is a text")
        if not isinstance(value, _KINDS):
            raise TypeError(f'the parameter "{name}" is {kind_of(value)}; the protocol has bool, int, float and str')
        check_parameter(name, value, sequences=_SEQUENCES.format(name=name))
    return checked


def require_setting(name: str, value: object, kind: type[Any], example: str) -> None:
    """Raise TypeError where a client's setting is neither None nor of its class."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is {kind_of(value)}; it takes {kind.__name__}, as in {example}")


def require_number(name: str, value: object, kind: type[Any] = Real) -> None:
    """Raise TypeError where a setting is no number, or no whole one where `kind` is int."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it takes a {'' if kind is Real else 'whole '}number")


def kind_of(value: object) -> str:
    """Name the type of a value, with its article."""
    return with_article(type(value).__name__)


def named_input(option: str, value: object) -> str:
    """Give the end of a sentence on an option that is an array: an input may have its name."""
    return _by_position(option) if hasattr(value, "__array__") else ""


def named_as_option(name: str) -> str:
    """Give the end of a sentence on an input that is missing: as a keyword it may have been taken for an option."""
    return _by_position(name) if name in _OPTIONS else ""


def _by_position(option: str) -> str:
    return f'; an input of the name "{option}" goes by position, or in inputs={{"{option}": …}} where a name is called'


def with_article(name: str) -> str:
    """Put "a" or "an" before a name."""
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
