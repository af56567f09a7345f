"""What a generated client module is made of: models as definitions that know their types, and the check of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tritonforge.client.calls.keywords import ClientKeywords
from tritonforge.client.errors import ClientError, ModelNotFound, ModelNotReady, Target
from tritonforge.client.metadata import ServedModel
from tritonforge.client.tensors.wire import Array
from tritonforge.ir import ANONYMOUS, Signature, TensorSpec

__all__ = [
    "ClientKeywords",
    "SchemaChanged",
    "Stub",
    "check_schema",
    "check_schema_async",
    "fingerprint",
    "only",
    "tensor",
]

_KINDS = {
    "decoupled": ("with one response for a request", "with a stream of responses for a request"),
    "sequence": ("without a state", "with a state for each sequence of requests"),
}
"""What a signature's words don't show, and what each says: where it isn't so, and where it is."""

R_co = TypeVar("R_co", covariant=True)


class SchemaChanged(ClientError):
    """The server's models are not those that a generated client module was made for."""


@dataclass(frozen=True, slots=True)
class Stub(Generic[R_co]):
    """A model by its name and signature: a definition for `client.call` and `client.stream`."""

    name: str
    signature: Signature
    build: Callable[..., Any]

    def wrap(self, outputs: dict[str, Array]) -> R_co:
        """Build the result from the outputs, in the model's order."""
        result: R_co = self.build(*(outputs[spec.name] for spec in self.signature.outputs))
        return result


def only(output: Array) -> Array:
    """Give the one output of a model as it is."""
    return output


def tensor(
    name: str,
    datatype: str,
    *dims: int | str,
    optional: bool = False,
    text: bool = False,
    reshaped: tuple[int, ...] | None = None,
) -> TensorSpec:
    """Spell an input or output."""
    return TensorSpec(name, datatype, tuple(dims), optional=optional, text=text, reshaped=reshaped)


def fingerprint(stubs: Iterable[Stub[Any]]) -> str:
    """Hash what clients can see of the models, whether it was read from a manifest or told by a server."""
    text = json.dumps({stub.name: _visible(stub.signature) for stub in stubs}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Describes(Protocol):
    @property
    def url(self) -> str: ...
    def describe(self, model: str, /) -> ServedModel: ...


class _DescribesAsync(Protocol):
    @property
    def url(self) -> str: ...
    def describe(self, model: str, /) -> Awaitable[ServedModel]: ...


def check_schema(client: _Describes, stubs: Sequence[Stub[Any]]) -> None:
    """Raise SchemaChanged, which names all of them, where models of the server have other signatures or are gone.

    One that is only not ready, as it is unloaded or still loading, says so when it is called.
    """
    lines: list[str] = []
    for stub in stubs:
        with _noting_absence(stub, lines):
            lines += _changes(stub, client.describe(stub.name))
    _require_none(lines, client.url)


async def check_schema_async(client: _DescribesAsync, stubs: Sequence[Stub[Any]]) -> None:
    """Do what `check_schema` does over an AsyncClient."""
    lines: list[str] = []
    for stub in stubs:
        with _noting_absence(stub, lines):
            lines += _changes(stub, await client.describe(stub.name))
    _require_none(lines, client.url)


@contextmanager
def _noting_absence(stub: Stub[Any], lines: list[str]) -> Iterator[None]:
    try:
        yield
    except ModelNotReady:
        pass
    except ModelNotFound as error:
        lines.append(f"{stub.name}: {error.reason}")


def _changes(stub: Stub[Any], served: ServedModel) -> list[str]:
    if _visible(stub.signature) == _visible(served.signature):
        return []
    generated, now = stub.signature, served.signature
    other = [kind for kind in _KINDS if getattr(generated, kind) != getattr(now, kind)]
    return [f"{stub.name}: generated for {_spell(generated, other)}, served is {_spell(now, other)}"]


def _spell(signature: Signature, kinds: Iterable[str]) -> str:
    return ", ".join((str(signature), *(_KINDS[kind][getattr(signature, kind)] for kind in kinds)))


def _require_none(lines: list[str], url: str) -> None:
    if lines:
        reason = "the models have changed since the client module was generated; generate it again\n  "
        raise SchemaChanged(reason + "\n  ".join(lines), Target(url))


def _visible(signature: Signature) -> dict[str, Any]:
    sequence = {"sequence": True} if signature.sequence else {}  # fingerprints of others stay what they were
    return sequence | {
        "batched": signature.batched,
        "decoupled": signature.decoupled,
        "inputs": [_tensor(spec, batched=signature.batched) for spec in signature.inputs],
        "outputs": [_tensor(spec, batched=signature.batched) for spec in signature.outputs],
    }


def _tensor(spec: TensorSpec, *, batched: bool) -> list[Any]:
    """Spell a tensor as clients see it: variable dimensions without their names, `batch` alone as `[batch, 1]`."""
    dims = [ANONYMOUS if size < 0 else size for size in (spec.sizes if spec.reshaped is None else spec.reshaped)]
    return [spec.name, spec.datatype, dims or ([1] if batched else []), spec.optional]
