"""A request and its response as every transport sees them: tensors as bytes.

NamedTuples, since several are made in each call: a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Buffer", "Parameter", "Request", "Response", "Tensor"]

Buffer = bytes | bytearray | memoryview
"""Bytes of a tensor, or a view of them."""

Parameter = bool | int | float | str
"""A value of the protocol's parameters extension."""


class Tensor(NamedTuple):
    """One tensor on the wire: little-endian, row-major; BYTES elements each after their length in four bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Buffer


class Request(NamedTuple):
    """One inference to ask for. No `outputs` asks for all; an empty `version` leaves the choice to the server."""

    model: str
    inputs: tuple[Tensor, ...]
    version: str = ""
    outputs: tuple[str, ...] = ()
    id: str = ""
    parameters: Mapping[str, Parameter] = MappingProxyType({})


class Response(NamedTuple):
    """What the server answered."""

    model: str
    version: str
    id: str
    outputs: tuple[Tensor, ...]
    parameters: Mapping[str, Parameter]
