"""A request and its response as every transport sees them: tensors as bytes.

NamedTuples, since several are made in each call: a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tritonforge.client.tensors.wire import Buffer
from tritonforge.request_parameters import Parameter

if TYPE_CHECKING:
    from tritonforge.client.tensors.usual import Usual

__all__ = [
    "Buffer",
    "Headers",
    "Kind",
    "Parameter",
    "Region",
    "Request",
    "Response",
    "Tensor",
    "is_sequence",
    "joined",
]

Headers = tuple[tuple[str, str], ...]
"""Headers of one request beside those of the client's options, names in lower case; over gRPC they are metadata."""


class Region(NamedTuple):
    """A part of the shared memory that the server knows by this name; `offset` and `size` in bytes."""

    name: str
    offset: int
    size: int


class Tensor(NamedTuple):
    """One tensor on the wire: little-endian, row-major; BYTES elements each after their length in four bytes.

    One that lies in a `region` is not sent: its data are there.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Buffer
    region: Region | None = None


class Kind:
    """Requests that differ in nothing but the bytes of their tensors: a transport may keep what it writes, by the kind.

    `tensors` are the names, datatypes and shapes of the inputs; `size` is that of all their data in bytes. Who changes
    anything else of a request takes its kind away. `usual` is the last answer to one, without the bytes of its tensors.
    """

    __slots__ = ("size", "tensors", "usual")

    def __init__(self, tensors: tuple[tuple[str, str, tuple[int, ...]], ...], size: int) -> None:
        self.tensors = tensors
        self.size = size
        self.usual: Usual | None = None


class Request(NamedTuple):
    """One inference to ask for. No `outputs` asks for all; an empty `version` leaves the choice to the server.

    Of outputs in `top`, that many classes are wanted in place of the tensor; those in `into` go to shared memory. Both
    are among `outputs`. `kind` is None where there may be no other request like it.
    """

    model: str
    inputs: tuple[Tensor, ...]
    version: str = ""
    outputs: tuple[str, ...] = ()
    id: str = ""
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    top: Mapping[str, int] = MappingProxyType({})
    into: Mapping[str, Region] = MappingProxyType({})
    headers: Headers = ()
    kind: Kind | None = None


class Response(NamedTuple):
    """What the server answered."""

    model: str
    version: str
    id: str
    outputs: tuple[Tensor, ...]
    parameters: Mapping[str, Parameter]


def is_sequence(request: Request) -> bool:
    """Tell whether a request is one of a sequence, which has a state on its server: sending it twice changes that."""
    return "sequence_id" in request.parameters


def joined(headers: Headers, more: Headers) -> Headers:
    """Add more headers to those of a request, which count where both have a name."""
    if not (headers and more):
        return headers or more
    names = {name for name, _ in headers}
    return (*headers, *[header for header in more if header[0].lower() not in names])
