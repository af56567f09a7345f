"""`tritonforge stubs`: the source of a typed client module for the models of a server, or of a repository."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tritonforge.client.client import Client
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.stub import Stub, fingerprint, only
from tritonforge.errors import TritonForgeError
from tritonforge.ir import Signature, TensorSpec
from tritonforge.manifest import MANIFEST, read_manifest

__all__ = ["generate", "read_repository", "read_server"]

_NUMPY = {
    "BOOL": "np.bool_",
    **{f"{kind}{bits}": f"np.{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"np.float{bits}" for bits in (16, 32, 64)},
    "BYTES": "np.object_",
    "BF16": "Any",
}

_HEAD = '''"""Typed access to {count}. Written by `tritonforge stubs`; changes here are lost.

    with connect("{url}") as models:
        {example}
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Unpack

from tritonforge.client import {clients}
from tritonforge.client.stub import ClientKeywords, Stub, check_schema, check_schema_async, only, tensor
from tritonforge.ir import Signature

FINGERPRINT = "{fingerprint}"
'''

_CONNECT = '''

@contextmanager
def connect(url: str | Sequence[str], **settings: Unpack[ClientKeywords]) -> Iterator[Models]:
    """Connect, as `Client` does, and check that the server's models are these. Raise SchemaChanged where not."""
    with Client(url, **settings) as client:
        check_schema(client, STUBS)
        yield Models(client)


@asynccontextmanager
async def connect_async(url: str | Sequence[str], **settings: Unpack[ClientKeywords]) -> AsyncIterator[AsyncModels]:
    """Connect, as `AsyncClient` does, and check that the server's models are these. Raise SchemaChanged where not."""
    async with AsyncClient(url, **settings) as client:
        await check_schema_async(client, STUBS)
        yield AsyncModels(client)
'''


def read_server(url: str, *, timeout_s: float = 30.0, options: ConnectionOptions | None = None) -> list[Stub[Any]]:
    """Ask a server for its ready models. Raise any ClientError."""
    with Client(url, timeout_s=timeout_s, options=options) as client:
        names = sorted({status.name for status in client.models() if status.state == "READY"})
        return [Stub(name, client.describe(name).signature, only) for name in names]


def read_repository(repository: Path) -> list[Stub[Any]]:
    """Read the models of a built repository from its manifest. Raise TritonForgeError for none, or a bad one."""
    content = read_manifest(repository)
    if not content:
        hint = "build the repository with tritonforge, or serve it and give the server's URL"
        raise TritonForgeError(f"{repository / MANIFEST}: there is no manifest; {hint}")
    return [
        Stub(name, _signature(entry["signature"], sequence=_keeps_state(repository / name)), only)
        for name, entry in sorted(content["models"].items())
    ]


def generate(stubs: Sequence[Stub[Any]], *, url: str = "http://127.0.0.1:8000") -> str:
    """Write the module; the same models give the same text. Raise TritonForgeError where there are none."""
    if not stubs:
        raise TritonForgeError("there are no models to write a client module for")
    named = _named(stubs)
    parts = [
        _HEAD.format(
            count=f"{len(stubs)} model{'s'[: len(stubs) != 1]}",
            url=url,
            clients=_SEQUENCE_CLIENTS if any(stub.signature.sequence for stub in stubs) else "AsyncClient, Client",
            example=_example(named[0]),
            fingerprint=fingerprint(stubs),
        )
    ]
    parts += [_result_class(one) for one in named if _has_class(one.stub)]
    parts.append("\n")
    parts += [_stub(one) for one in named]
    parts.append(f"STUBS = ({', '.join(one.constant for one in named)},)\n")
    for asynchronous in (False, True):
        parts.append(_models_class(named, asynchronous=asynchronous))
    parts.append(_CONNECT)
    return "".join(parts)


_VERSION = '        version: str | int = "",\n'
_HEADERS = "        headers: Mapping[str, str] | None = None,\n"
_PARAMETERS = "        parameters: Mapping[str, bool | int | float | str] | None = None,\n"
_SEQUENCE_CLIENTS = "AsyncClient, AsyncDefinedSequence, Client, DefinedSequence"
_ARRAYS = {"Any", "NDArray", "np"}  # what annotations of arrays are made of
# A class hides the module's names, and Python's own, that its methods and fields have: none of its annotations' may be.
_IN_METHODS = {
    *_ARRAYS,
    *("AsyncClient", "AsyncDefinedSequence", "AsyncGenerator", "Client", "DefinedSequence", "Generator", "Mapping"),
    *("bool", "float", "int", "str"),
}
_IN_MODULE = {
    *_IN_METHODS,
    *("AsyncIterator", "AsyncModels", "FINGERPRINT", "Iterator", "Models", "NamedTuple", "STUBS", "Signature", "Stub"),
}


class _Named(NamedTuple):
    """A model, and what stands for it in the module."""

    stub: Stub[Any]
    method: str
    result: str
    constant: str


def _named(stubs: Sequence[Stub[Any]]) -> list[_Named]:
    """Name what the module has of each model, apart from each other and from what the module itself uses."""
    methods = _unique([stub.name for stub in stubs], {"client", *_IN_METHODS})  # the former is an attribute beside them
    ranked = sorted(zip(stubs, methods, strict=True), key=lambda pair: pair[0].name != pair[1])
    titles = ["".join(part.title() for part in method.split("_")) for _, method in ranked]
    classes = _unique(titles, {*_IN_MODULE, *methods})
    written = {name for name, (stub, _) in zip(classes, ranked, strict=True) if _has_class(stub)}
    constants = _unique([method.upper() for _, method in ranked], {*_IN_MODULE, *written})
    rest = {stub.name: names for (stub, _), *names in zip(ranked, classes, constants, strict=True)}
    return [_Named(stub, method, *rest[stub.name]) for stub, method in zip(stubs, methods, strict=True)]


def _has_class(stub: Stub[Any]) -> bool:
    """Tell whether its result is a class of its own: one output alone is given as the array that it is."""
    return len(stub.signature.outputs) != 1


def _keeps_state(folder: Path) -> bool:
    """Tell whether a built model takes sequences, which its manifest doesn't say."""
    return re.search(r"^sequence_batching\b", (folder / "config.pbtxt").read_text("utf-8"), re.MULTILINE) is not None


def _example(one: _Named) -> str:
    arguments = ", ".join(f"{word}=…" for word in _inputs(one))
    if one.stub.signature.sequence:
        return f"with models.{one.method}() as steps:\n            answer = steps.infer({arguments})"
    return f"answer = models.{one.method}({arguments})"


def _signature(entry: dict[str, Any], *, sequence: bool) -> Signature:
    def read(tensors: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(
                t["name"],
                t["datatype"],
                tuple(t["dims"]),
                bool(t.get("optional")),
                bool(t.get("text")),
                None if t.get("reshaped") is None else tuple(t["reshaped"]),
            )
            for t in tensors
        )

    inputs, outputs = (read(entry.get(side, [])) for side in ("inputs", "outputs"))
    batched, decoupled = bool(entry["batched"]), bool(entry.get("decoupled"))
    return Signature(inputs, outputs, batched=batched, decoupled=decoupled, sequence=sequence)


def _unique(names: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """Make identifiers of names, each another, in their order: one that is free and an identifier keeps its name."""
    words = [_identifier(name) for name in names]
    there, found = set(taken), dict.fromkeys(range(len(names)), "")
    for number in sorted(found, key=lambda number: words[number] != names[number] or words[number] in taken):
        word = words[number]
        while word in there:
            word += "_"
        there.add(word)
        found[number] = word
    return list(found.values())


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_") or "model"
    return f"m_{word}" if word[0].isdigit() or keyword.iskeyword(word) else word


def _inputs(one: _Named) -> list[str]:
    """Name the arguments of a model's method, none like an option, nor like the constant that its body reads."""
    taken = {"self", "version", "timeout_s", "request_id", "headers", "parameters", one.constant}
    return _unique([spec.name for spec in one.stub.signature.inputs], taken)


def _array(spec: TensorSpec) -> str:
    return f"NDArray[{_NUMPY[spec.datatype]}]"


def _result_class(one: _Named) -> str:
    stub = one.stub
    fields = _unique([spec.name for spec in stub.signature.outputs], {"count", "index", *_ARRAYS})
    lines = "".join(
        f"    {field}: {_array(spec)}  # {spec.describe(batched=stub.signature.batched)}\n"
        for field, spec in zip(fields, stub.signature.outputs, strict=True)
    )
    return f'\n\nclass {one.result}(NamedTuple):\n    """What {stub.name} gives."""\n\n{lines}'


def _given(one: _Named) -> str:
    return one.result if _has_class(one.stub) else _array(one.stub.signature.outputs[0])


def _stub(one: _Named) -> str:
    signature = one.stub.signature
    sides = "".join(
        f"        {side}=(\n{''.join(f'            {_tensor(spec)},{chr(10)}' for spec in specs)}        ),\n"
        for side, specs in (("inputs", signature.inputs), ("outputs", signature.outputs))
    )
    build = one.result if _has_class(one.stub) else "only"
    flags = f"        batched={signature.batched},\n        decoupled={signature.decoupled},\n"
    if signature.sequence:
        flags += "        sequence=True,\n"
    flags += f'        request_parameters="{_parameters(signature)}",\n'
    given = f"Iterator[{_given(one)}]" if signature.decoupled else _given(one)
    return (
        f"{one.constant}: Stub[{given}] = Stub(\n    {json.dumps(one.stub.name)},\n"
        f"    Signature(\n{sides}{flags}    ),\n    {build},\n)\n"
    )


def _parameters(signature: Signature) -> str:
    """Name the argument that sends request parameters, which any model may read: no input has that name."""
    name = "parameters"
    while signature.input(name) is not None:
        name += "_"
    return name


def _tensor(spec: TensorSpec) -> str:
    dims = "".join(f", {json.dumps(dim)}" for dim in spec.dims)
    flags = "".join(f", {flag}=True" for flag in ("optional", "text") if getattr(spec, flag))
    flags += "" if spec.reshaped is None else f", reshaped={spec.reshaped}"
    return f'tensor({json.dumps(spec.name)}, "{spec.datatype}"{dims}{flags})'


def _models_class(named: Sequence[_Named], *, asynchronous: bool) -> str:
    kind = "Async" if asynchronous else ""
    methods = "".join(_method(one, asynchronous=asynchronous) for one in named)
    return (
        f'\n\nclass {kind}Models:\n    """The models, each a method."""\n\n'
        f"    def __init__(self, client: {kind}Client) -> None:\n        self.client = client\n{methods}"
    )


def _method(one: _Named, *, asynchronous: bool) -> str:
    if one.stub.signature.sequence:
        return _sequence_method(one, asynchronous=asynchronous)
    signature, inputs = one.stub.signature, _inputs(one)
    ordered = sorted(zip(inputs, signature.inputs, strict=True), key=lambda pair: pair[1].optional)
    arguments = "".join(
        f"        {word}: {_array(spec)}{' | None = None' if spec.optional else ''},\n" for word, spec in ordered
    )
    given = _given(one)
    stream = "AsyncGenerator" if asynchronous else "Generator"
    answer = (
        (f"{stream}[{given}, None]" if asynchronous else f"{stream}[{given}, None, None]")
        if (signature.decoupled)
        else given
    )
    sent = "".join(f", {word}" for word in inputs)  # by position: a name may be that of one of call()'s options
    method = "stream" if signature.decoupled else "call"
    coroutine = asynchronous and not signature.decoupled
    return (
        f"\n    {'async ' if coroutine else ''}def {one.method}(\n        self,\n{arguments}        *,\n"
        f"{_VERSION}        timeout_s: float | None = None,\n"
        f'        request_id: str = "",\n{_HEADERS}{_PARAMETERS}    ) -> {answer}:\n'
        f'        """Call {one.stub.name}: {signature}."""\n'
        f"        return {'await ' if coroutine else ''}self.client.{method}(\n"
        f"            {one.constant}{sent}, parameters, "
        "version=version, timeout_s=timeout_s, request_id=request_id, headers=headers\n        )\n"
    )


def _sequence_method(one: _Named, *, asynchronous: bool) -> str:
    """Write what begins a sequence: a request outside of one is refused by such a model."""
    if one.stub.signature.decoupled:
        return f"\n    # {one.method} streams its responses within a sequence: the client has no call for that.\n"
    kind = f"{'Async' if asynchronous else ''}DefinedSequence[{_given(one)}]"
    return (
        f"\n    def {one.method}(\n        self,\n        *,\n{_VERSION}        sequence_id: int | str | None = None,\n"
        "        closing: Mapping[str, Any] | None = None,\n        replay: bool = False,\n"
        f"        timeout_s: float | None = None,\n{_HEADERS}    ) -> {kind}:\n"
        f'        """Begin a sequence of {one.stub.name}: {one.stub.signature}, each request by `infer`."""\n'
        f"        return self.client.sequence(\n"
        f"            {one.constant},\n            version=version,\n            sequence_id=sequence_id,\n"
        "            closing=closing,\n            replay=replay,\n            timeout_s=timeout_s,\n"
        "            headers=headers,\n        )\n"
    )
