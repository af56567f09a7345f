"""Requests that a model is run with before it is ready, so that its first users don't wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from tritonforge import ir
from tritonforge.define.settings.base import Count, Datatype, Setting, Size

__all__ = ["Warmup", "WarmupInput"]


class WarmupInput(Setting):
    """One input of a warm-up request."""

    record: ClassVar[type[Any]] = ir.WarmupInput
    prefixes: ClassVar[Mapping[str, str]] = {"data_type": "TYPE_"}

    data_type: Datatype
    """Its type."""
    dims: tuple[Size, ...] = ()
    """Its dimensions, without the batch."""
    zero_data: bool | None = None
    """It is zeros."""
    random_data: bool | None = None
    """It is random values."""
    data_file: str | None = None
    """It is the raw content of a file beside the definition, which the build copies into the model's folder `warmup`;
    of `model_files`, a file in that folder."""

    @model_validator(mode="after")
    def _agrees(self) -> WarmupInput:
        if sum(given is not None for given in (self.zero_data, self.random_data, self.data_file)) != 1:
            raise ValueError("one of zero_data, random_data and data_file is needed")
        return self


class Warmup(Setting):
    """A request that is run before the model is ready.

    Simpler than this is `warmup=samples`: a dict of arrays by input, or several of them. The build writes them down.
    """

    record: ClassVar[type[Any]] = ir.Warmup

    name: str
    """A name for logs."""
    batch_size: Count = 1
    """How many rows: one row's data is repeated. At most max_batch_size; 1 where the model has no batch. Default: 1."""
    inputs: Mapping[str, WarmupInput]
    """Each input of the model, by name."""
    count: Count = 0
    """How often it is run. Default: 0, which is once."""
