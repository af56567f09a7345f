"""Calling a model through its definition: arguments bound and outputs shaped as the definition's own signature says.

Triton has no batched tensor of rank 1: where a definition says `batch` alone, clients see `[batch, 1]`. Where a setting
reshapes a tensor, they see another shape, too. And Triton has no text: a String is UTF-8 bytes on the wire.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from tritonforge.client.errors import InferenceFailed, InvalidRequest, Target
from tritonforge.client.names import shown
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import checked_parameters
from tritonforge.client.tensors.checks import explain, find_problems
from tritonforge.client.tensors.wire import Array
from tritonforge.dtypes import from_numpy
from tritonforge.errors import InvalidTensor
from tritonforge.ir import Signature, TensorSpec

__all__ = [
    "Defined",
    "DefinedAsync",
    "Definition",
    "from_wire",
    "give_back",
    "make_inputs",
    "read_arguments",
    "require_definition",
    "to_wire",
]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Definition(Protocol[R_co]):
    """A model as its author defines it: anything with a name, a signature, and a way to build its return value."""

    @property
    def name(self) -> str:
        """The model's name on the server."""

    @property
    def signature(self) -> Signature:
        """What the Python of the model takes and gives."""

    def wrap(self, outputs: dict[str, Array]) -> R_co:
        """Build the value that the definition returns from its outputs by name."""


class _Decorated(Protocol[R_co]):
    """An instance of a class that is decorated, as mypy sees it: what the decorator makes of the class, it ignores.

    https://github.com/python/mypy/issues/3135
    """

    def __call__(self, *args: Any, **kwargs: Any) -> R_co:
        """Give what the model does."""


Defined = Definition[R] | type[_Decorated[R]]
"""A definition, to any type checker: one of a class is that class still to mypy."""

DefinedAsync = Defined[Coroutine[Any, Any, R]]
"""A definition of an `async def`, whose calls give what that returns."""


def require_definition(definition: object, method: str, by_name: str) -> None:
    """Raise TypeError, naming the client's method that takes names, where something is no definition."""
    if isinstance(definition, str):
        raise TypeError(
            f'{method}() takes a definition; for a model by its name: client.{by_name}("{shown(definition)}", …)'
        )
    if not all(hasattr(definition, name) for name in ("name", "signature", "wrap")):
        found = definition if callable(definition) else type(definition).__name__
        raise TypeError(f"{method}() takes a definition, such as @model and @pipeline make, not {found}")


class Sent(NamedTuple):
    """What a request says: its tensors by input name, and its parameters."""

    inputs: dict[str, Any]
    parameters: Mapping[str, Any] | None


def read_arguments(definition: Definition[Any], args: Sequence[Any], named: Mapping[str, Any], target: Target) -> Sent:
    """Make what a request says of a definition's arguments. Raise InvalidRequest where they don't match it."""
    signature = definition.signature
    own = signature.request_parameters
    parameters = None
    if own and own in named:
        parameters = named[own]
        named = {name: value for name, value in named.items() if name != own}
    elif own and len(args) == len(signature.inputs) + 1:
        *args, parameters = args
    try:
        checked = checked_parameters(parameters)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(str(error), target) from error
    try:
        return Sent(to_wire(signature, args, named), checked)
    except InvalidTensor as error:
        raise InvalidRequest(str(error), target) from error


def make_inputs(
    definition: Definition[Any], args: Sequence[Any], named: Mapping[str, Any], target: Target
) -> dict[str, Any]:
    """Make the inputs of a request of a definition's arguments, none of which are the request's parameters.

    Raise InvalidRequest where they don't match it.
    """
    sent = read_arguments(definition, args, named, target)
    if sent.parameters is not None:
        raise InvalidRequest("request parameters are sent by call() and stream() only, and by sequences", target)
    return sent.inputs


def give_back(definition: Definition[R], result: Result, target: Target) -> R:
    """Give a result as the definition returns it. Raise InferenceFailed where it doesn't match the signature."""
    try:
        outputs = from_wire(definition.signature, result.outputs)
    except InvalidTensor as error:
        hint = "the server's build may be of another state of the definition"
        if any(spec.name not in result for spec in definition.signature.outputs):
            name = shown(definition.name)
            hint += f'; or the model left it out, as one written by hand may: client.infer("{name}", …) takes that'
        raise InferenceFailed(f"{error}; {hint}", target) from error
    return definition.wrap(outputs)


def to_wire(signature: Signature, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Bind arguments as the definition takes them, check them, and shape them as clients send them.

    Optional inputs that are None are left out. Raise InvalidTensor where they don't match the signature.
    """
    names = [spec.name for spec in signature.inputs]
    problems = []
    if len(args) > len(names):
        problems.append(f"{len(args)} positional inputs given, {len(names)} wanted")
    inputs = dict(zip(names, args, strict=False))
    problems += [f'input "{name}" is given twice' for name in named if name in inputs]
    inputs.update(named)
    problems += find_problems(signature, inputs)
    if problems:
        raise InvalidTensor(explain(problems, signature))
    specs = {spec.name: spec for spec in signature.inputs}
    return {
        name: _sent(specs[name], value, batched=signature.batched)
        for name, value in inputs.items()
        if value is not None
    }


def _sent(spec: TensorSpec, value: Any, *, batched: bool) -> Any:
    if spec.dims and spec.reshaped is None:
        return value
    try:
        return value.reshape(spec.sent_shape(value.shape, batched=batched))
    except ValueError as error:
        given, wanted = list(value.shape), ["batch"] * batched + ["_" if dim < 0 else dim for dim in spec.wire]
        shape = f"[{', '.join(map(str, wanted))}]"
        raise InvalidTensor(f'input "{spec.name}": {given} given, which clients send as {shape}') from error


def _read(spec: TensorSpec, array: Array, *, batched: bool) -> Array:
    """Give an output of the shape that clients see as the definition has it, and any other as it came."""
    shape = array.shape[batched:]
    if len(shape) != len(spec.wire) or any(dim not in (-1, size) for dim, size in zip(spec.wire, shape, strict=True)):
        return array
    try:
        return array.reshape(spec.read_shape(array.shape, batched=batched))
    except ValueError:
        return array


def from_wire(signature: Signature, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Shape the outputs as the definition gives them, text as `str`. Raise InvalidTensor where they don't match."""
    return {spec.name: _output(spec, outputs, batched=signature.batched) for spec in signature.outputs}


def _output(spec: TensorSpec, outputs: Mapping[str, Array], *, batched: bool) -> Array:
    array = outputs.get(spec.name)
    if array is None:
        found = ", ".join(outputs) or "none"
        raise InvalidTensor(f'output "{spec.name}" of the definition is not in the answer, which has: {found}')
    if not spec.dims or spec.reshaped is not None:
        array = _read(spec, array, batched=batched)
    dims = ("batch", *spec.dims) if batched else spec.dims
    fits = len(dims) == array.ndim and all(dim in (size, str(dim)) for dim, size in zip(dims, array.shape, strict=True))
    datatype = from_numpy(array.dtype)
    if not fits or datatype is None or datatype.name != spec.datatype:
        wanted = spec.describe(batched=batched)
        raise InvalidTensor(f'output "{spec.name}" came as {datatype}{list(array.shape)}; the definition says {wanted}')
    return _text(spec.name, array) if spec.text else array


def _text(name: str, array: Array) -> Array:
    text = np.empty(array.size, object)
    try:
        text[:] = [element.decode() for element in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InvalidTensor(f'output "{name}" is text for the definition, but not UTF-8: {error}') from error
    return text.reshape(array.shape)
