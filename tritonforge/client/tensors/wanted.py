"""Outputs that are wanted in another form than as arrays of NumPy: as classes, or in a GPU's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.errors import InferenceFailed, InvalidRequest, Target
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import kind_of, named_input
from tritonforge.client.tensors.classes import labelled, require_classes, unclassified
from tritonforge.client.tensors.payload import region_of
from tritonforge.client.tensors.wire import Array
from tritonforge.dtypes import from_numpy
from tritonforge.ir import Signature

__all__ = ["Wanted", "require_wanted"]


class Wanted(NamedTuple):
    """By output: how many classes of it, and the array where it is to be written."""

    top: Mapping[str, int]
    into: Mapping[str, CudaArray]

    def among(self, asked: Sequence[str]) -> list[str]:
        """List the outputs to ask for: those, and what is wanted beside them."""
        return [*asked, *(name for name in {**self.top, **self.into} if name not in asked)]

    def misfit(self, signature: Signature) -> str:
        """Say which output can't be had so; empty where all can."""
        problem = unclassified(self.top, signature)
        for spec in signature.outputs:
            array = self.into.get(spec.name)
            datatype = None if array is None else from_numpy(array.dtype)
            if array is not None and (datatype is None or datatype.name != spec.datatype):
                shown = f"{datatype or array.dtype}{list(array.shape)}"
                problem = f'into["{spec.name}"] is {shown}; the output is {spec.describe(batched=signature.batched)}'
        return problem

    def require_fit(self, signature: Signature, target: Target) -> None:
        """Raise InvalidRequest, with the signature, where one can't be had so."""
        if problem := self.misfit(signature):
            raise InvalidRequest(f"{problem}\n  signature: {signature}", target)

    def changes(self, target: Target) -> dict[str, Any]:
        """Give the fields of a request that say so. Raise InvalidRequest for an array whose block has ended."""
        regions = {name: region_of(f'into["{name}"]', array, target) for name, array in self.into.items()}
        return {"top": self.top, "into": regions}

    def give(self, result: Result, target: Target) -> Result:
        """Give a result in that form. Raise InferenceFailed where an answer isn't what was asked for."""
        if self.top:
            result = labelled(result, self.top, target)
        if not self.into:
            return result
        try:
            there = {name: _there(array, result[name]) for name, array in self.into.items()}
        except (KeyError, ValueError) as error:  # of an output that didn't come, or isn't what its place is for
            raise InferenceFailed(str(error.args[0]), target) from error
        return Result(
            {**result.outputs, **cast("dict[str, Array]", there)},
            model=result.model,
            model_version=result.model_version,
            id=result.id,
            parameters=result.parameters,
        )


def require_wanted(top: Mapping[str, int] | None, into: Any) -> Wanted:
    """Raise TypeError where one of them is of another kind; ValueError for no number of classes, or one place twice."""
    require_classes(top or {})
    if into is not None and not isinstance(into, Mapping):
        hint = named_input("into", into)
        raise TypeError(f'into is {kind_of(into)}; it takes outputs and arrays: into={{"scores": cuda_array}}{hint}')
    wanted = Wanted(top or {}, into or {})
    for name, array in wanted.into.items():
        if not isinstance(array, CudaArray):
            raise TypeError(f'into["{name}"] is {kind_of(array)}; it takes a CudaArray, of client.cuda_shared(…)')
        if name in wanted.top:
            raise ValueError(f'the output "{name}" is in top and in into: its classes come to the host\'s memory')
    regions = sorted(array.region for array in wanted.into.values() if array.nbytes)
    for one, other in pairwise(regions):
        if one.name == other.name and one.offset + one.size > other.offset:
            raise ValueError("two outputs in into have a part of their memory in common")
    return wanted


def _there(array: CudaArray, answered: Array) -> CudaArray:
    """Give what of an array an output takes, of which its shape and dtype came. Raise ValueError for another."""
    if answered.dtype != array.dtype:
        raise ValueError(f"{from_numpy(answered.dtype)}{list(answered.shape)} was written to {array!r}")
    return array.started(answered.shape)
