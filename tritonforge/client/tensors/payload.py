"""From arrays to a request, and from a response to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import InferenceFailed, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.message import Kind, Parameter, Region, Request, Response, Tensor
from tritonforge.client.metadata import ServedModel
from tritonforge.client.names import shown
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import kind_of, named_input, require_request_id
from tritonforge.client.tensors.checks import explain, find_problems
from tritonforge.client.tensors.wire import Array, decode, encode, stand_in
from tritonforge.errors import InvalidTensor
from tritonforge.ir import Signature

__all__ = [
    "check",
    "make_request",
    "make_request_of",
    "merge_inputs",
    "read_result",
    "region_of",
    "require_outputs",
    "require_own",
    "version_text",
    "with_timeout",
]


def version_text(version: str | int) -> str:
    """Spell a model version as the protocol does. Raise ValueError where it isn't a whole number, or empty."""
    text = str(version)
    if text == "":
        return ""
    if not (text.isascii() and text.isdecimal()):
        hint = named_input("version", version)
        raise ValueError(f"version is {version!r}; a model's version is a whole number, 0 or above{hint}")
    return text


def merge_inputs(inputs: Mapping[str, Any] | None, named: dict[str, Any], target: Target) -> Mapping[str, Any]:
    """Join the inputs given as a mapping and those given as keywords. Raise InvalidRequest where one is given twice."""
    if inputs is None:
        return named
    if not hasattr(inputs, "keys"):
        raise InvalidRequest(f"inputs is {kind_of(inputs)}; it takes a mapping of names to arrays: name=array", target)
    twice = [name for name in named if name in inputs]
    if twice:
        raise InvalidRequest(f'input "{twice[0]}" is given twice, in inputs and as a keyword', target)
    return {**inputs, **named}


def check(
    served: ServedModel, inputs: Mapping[str, Any], outputs: Sequence[str], defined: Signature | None = None
) -> str:
    """Say what keeps the inputs from matching the model, with its signature; empty where they match.

    `defined` is the signature of the definition that is called, which the inputs match: it is shown instead.
    """
    problems = find_problems(served.signature, inputs, outputs, max_batch_size=served.max_batch_size)
    if not problems:
        return ""
    if defined is None:
        return explain(problems, served.signature)
    text = explain(problems, defined)
    if find_problems(served.signature, inputs, outputs):  # it is not the size of the batch alone
        text += f"\n  served: {served.signature}\n  the server's build may be of another state of the definition"
    return text


def make_request(
    target: Target,
    served: ServedModel,
    inputs: Mapping[str, Array | CudaArray | None],
    outputs: Sequence[str],
    parameters: Mapping[str, Parameter] | None,
) -> Request:
    """Encode checked inputs, in the model's order. Raise InvalidRequest for a value that its tensor can't hold."""
    require_request_id(target.request_id)
    tensors = []
    for spec in served.signature.inputs:
        array = inputs.get(spec.name)
        if array is None:
            continue
        try:
            if isinstance(array, CudaArray):
                region = region_of(f'input "{spec.name}"', array, target) if array.nbytes else None
                tensors.append(Tensor(spec.name, spec.datatype, array.shape, b"", region))
            else:
                tensors.append(Tensor(spec.name, spec.datatype, array.shape, encode(array, spec.datatype)))
        except InvalidTensor as error:
            raise InvalidRequest(f'input "{spec.name}": {error}\n  signature: {served.signature}', target) from error
    return Request(target.model, tuple(tensors), target.version, tuple(outputs), target.request_id, parameters or {})


def region_of(what: str, array: CudaArray, target: Target) -> Region:
    """Tell where an array lies, as the server of a call is told. Raise InvalidRequest where that doesn't know it."""
    memory = array.memory
    if memory.ended:
        reason = "its block, with client.cuda_shared(…), has ended: the server doesn't know its memory any more"
        raise InvalidRequest(f"{what}: {reason}", target)
    if memory.url != target.url:
        raise InvalidRequest(f"{what}: the CudaArray is of the client of {memory.url}", target)
    return array.region


def make_request_of(
    kind: Kind,
    target: Target,
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    parameters: Mapping[str, Parameter] | None,
) -> Request:
    """Encode inputs of a kind that has been checked."""
    tensors = tuple(
        [Tensor(name, datatype, shape, encode(inputs[name], datatype)) for name, datatype, shape in kind.tensors]
    )
    if parameters or target.request_id:
        require_request_id(target.request_id)
        return Request(target.model, tensors, target.version, tuple(outputs), target.request_id, parameters or {})
    return Request(target.model, tensors, target.version, tuple(outputs), kind=kind)


def read_result(response: Response, order: Sequence[str], target: Target, datatypes: Mapping[str, str]) -> Result:
    """Decode a response, its outputs in an order; those that it doesn't name as they came.

    One that lies in a region is there by its shape and dtype alone. `datatypes` are those of all outputs of the model,
    by name, as far as it is known. A Python model may leave outputs out, all of them too, and Triton passes that on
    (24.10), as it does another datatype than is declared. Raise InferenceFailed where there is another output or
    datatype in the place of one of them, or an output isn't what it says.
    """
    arrays: dict[str, Array] = {}
    name = ""
    try:
        for name, datatype, shape, data, region in response.outputs:
            if datatypes.get(name, datatype) != datatype and datatype != "BYTES":  # which classes come as, too
                words = f"its output {name!r} is {datatype}, and declared as {datatypes[name]}"
                raise InferenceFailed(f"the model's answer is not what the server says of the model: {words}", target)
            arrays[name] = decode(datatype, shape, data) if region is None else stand_in(datatype, shape)
    except InvalidTensor as error:
        raise InferenceFailed(f'output "{name}": {error}', target) from error
    if len(arrays) != len(response.outputs):
        raise ServerUnavailable("the answer is not Triton's: it has an output twice", target)
    if [*arrays] != order:
        unknown = [name for name in arrays if name not in datatypes]
        if unknown and not arrays.keys() >= set(order):
            words = f"it has an output {unknown[0]!r}; declared are {', '.join(datatypes)}"
            raise InferenceFailed(f"the model's answer is not what the server says of the model: {words}", target)
        arrays = {name: arrays.pop(name) for name in order if name in arrays} | arrays
    return Result(
        arrays,
        model=response.model,
        model_version=response.version,
        id=response.id,
        parameters=response.parameters,
    )


def require_own(response: Response, target: Target) -> None:
    """Raise ServerUnavailable where a response is of another model or version than was asked, or to another request."""
    if response.model != target.model or _differ(response.version, target.version):
        version = response.version and f" version {shown(response.version)}"
        words = f"it is of {shown(response.model) or 'none'}{version}"
        raise ServerUnavailable(f"the answer is not of this model: {words}", target, foreign=True)
    if target.request_id and response.id not in (target.request_id, ""):
        words = f"its id is {shown(response.id)}, and that of the request {shown(target.request_id)}"
        raise ServerUnavailable(f"the answer is not of this request: {words}", target, foreign=True)


def _differ(version: str, asked: str) -> bool:
    """Tell whether an answer is of another version than was asked for; as a number, 01 is 1."""
    return bool(asked) and version != asked and version.isdecimal() and int(version) != int(asked)


def require_outputs(result: Result, asked: Sequence[str], target: Target) -> None:
    """Raise InferenceFailed where an output that was asked for is not among those of an answer."""
    missing = [name for name in asked if name not in result.outputs]
    if missing:
        raise InferenceFailed(f"the model's answer has no output {missing[0]!r}, as asked for", target)


def with_timeout(parameters: Mapping[str, Parameter] | None, deadline: Deadline) -> Mapping[str, Parameter]:
    """Add the limit in the queue in microseconds, unless the caller gives one.

    Models without such a policy ignore it (seen with 24.10), and there it would only make requests differ.
    """
    if parameters and "timeout" in parameters:
        return parameters
    return {**(parameters or {}), "timeout": max(1, int(deadline.left_s() * 1e6))}
