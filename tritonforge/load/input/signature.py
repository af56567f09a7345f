"""A model's inputs and outputs as a request has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tritonforge.dtypes import DTYPES
from tritonforge.load.errors import InvalidLoad, LoadFailed

__all__ = ["ServedModel", "Tensor", "Unsized", "read_model"]


class Unsized(InvalidLoad):
    """A variable dimension of an input has no size."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output without its batch dimension; variable sizes are -1."""

    name: str
    datatype: str
    dims: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What load must know of a model. `max_batch_size` is 0 where it doesn't batch, None where no limit is known;
    `steps` are an ensemble's.

    Whether it takes sequences is None where the server has no configuration to tell.
    """

    name: str
    inputs: tuple[Tensor, ...]
    max_batch_size: int | None
    decoupled: bool
    steps: tuple[str, ...]
    sequences: bool | None = False
    outputs: tuple[Tensor, ...] = ()

    @property
    def batches(self) -> bool:
        """Whether its inputs have a dimension for the batch, before those of `dims`."""
        return self.max_batch_size != 0

    @property
    def may_batch(self) -> bool:
        """Whether it may batch along the first dimension, though no configuration says so: it varies in all inputs."""
        unknown = self.sequences is None and not self.batches
        return unknown and all(tensor.dims[:1] == (-1,) for tensor in self.inputs)

    def batched(self) -> ServedModel:
        """Give it with the first dimension of its tensors as the batch's."""

        def rows(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(replace(tensor, dims=tensor.dims[1:]) for tensor in tensors)

        return replace(self, inputs=rows(self.inputs), outputs=rows(self.outputs), max_batch_size=None)

    def shape(self, tensor: Tensor, sizes: Mapping[str, tuple[int, ...]], names: Sequence[str] = ()) -> tuple[int, ...]:
        """Give the sizes of one input, the batch aside.

        `sizes` has whole shapes by the input's name, and sizes by a dimension's name. `names` are those of the
        dimensions, where they are known; a variable one without a name takes the one size given to no input.
        Raise InvalidLoad where a variable dimension has no size (Unsized), or several.
        """
        whole = sizes.get(tensor.name, ())
        if len(whole) == len(tensor.dims):
            if any(size not in (-1, found) for size, found in zip(tensor.dims, whole, strict=True)):
                raise InvalidLoad(f'{self.name}: "{tensor.name}" has the shape {list(tensor.dims)}, not {list(whole)}')
            return whole
        loose = self._loose(sizes)
        fallback = loose[0] if len(loose) == 1 else tensor.name
        found = []
        for place, size in enumerate(tensor.dims):
            name = (names[place] if place < len(names) else "") or fallback
            given = sizes.get(name, ())
            if size < 0 and len(given) > 1:
                raise InvalidLoad(self._oversized(tensor, name, given))
            if size < 0 and not given:
                raise Unsized(
                    f'{self.name}: input "{tensor.name}" has the shape {list(tensor.dims)}; give its variable '
                    f"dimensions sizes in shapes: {self._ways(tensor, sizes, names)}"
                )
            found.append(size if size >= 0 else given[0])
        return tuple(found)

    def check_sized(self, sizes: Mapping[str, tuple[int, ...]], names: Mapping[str, Sequence[str]]) -> None:
        """Raise Unsized that names all inputs whose variable dimensions have no size, where it is several."""
        lacking = []
        for tensor in self.inputs:
            try:
                self.shape(tensor, sizes, names.get(tensor.name, ()))
            except Unsized:
                ways = self._ways(tensor, sizes, names.get(tensor.name, ()))
                lacking.append(f'"{tensor.name}" {list(tensor.dims)}: {ways}')
        if len(lacking) > 1:
            raise Unsized(
                f"{self.name}: {len(lacking)} inputs have variable dimensions without sizes; give them in shapes: "
                f"{'; '.join(lacking)}"
            )

    def used(self, tensor: Tensor, sizes: Mapping[str, tuple[int, ...]], names: Sequence[str] = ()) -> set[str]:
        """Name those of the sizes that decide the shape of an input; of what `shape` refuses, those that are meant."""
        if len(sizes.get(tensor.name, ())) == len(tensor.dims):
            return {tensor.name}
        variable = {names[place] if place < len(names) else "" for place, size in enumerate(tensor.dims) if size < 0}
        if "" in variable:
            loose = self._loose(sizes)
            variable |= set(loose) if len(loose) == 1 or tensor.name not in sizes else {tensor.name}
        return variable & set(sizes)

    def guessed(self, tensor: Tensor, sizes: Mapping[str, tuple[int, ...]], names: Sequence[str] = ()) -> str:
        """Name the size that an input's dimensions take which have no name; nothing where there is none."""
        unnamed = any(size < 0 and not any(names[place : place + 1]) for place, size in enumerate(tensor.dims))
        found = self.used(tensor, sizes, names) & set(self._loose(sizes)) - set(names)
        return found.pop() if unnamed and len(found) == 1 else ""

    def _loose(self, sizes: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Name the sizes that are no input's."""
        inputs = {tensor.name for tensor in self.inputs}
        return [name for name in sizes if name not in inputs]

    def _oversized(self, tensor: Tensor, name: str, sizes: tuple[int, ...]) -> str:
        """Say that there are several sizes for one dimension."""
        given, count = f"shape {name}={','.join(map(str, sizes))} has {len(sizes)} sizes", len(tensor.dims)
        if name != tensor.name:
            return f'{self.name}: {given}; a dimension of "{tensor.name}", of the shape {list(tensor.dims)}, has one'
        return f'{self.name}: {given}; "{name}" has {count} dimension{"s"[: count != 1]}, {list(tensor.dims)}'

    def _ways(self, tensor: Tensor, sizes: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> str:
        """Say how an input's variable dimensions can be given sizes, by names that there are."""
        variable = [place for place, size in enumerate(tensor.dims) if size < 0]
        called = [names[place] if place < len(names) else "" for place in variable]
        by_name = "".join(f"{name}=128, " for name in dict.fromkeys(called)) + "or " if all(called) else ""
        whole = ",".join("128" if size < 0 else str(size) for size in tensor.dims)
        loose = self._loose(sizes)
        untold = "" if all(called) or len(loose) < 2 else f"; its dimensions have no names here: not {', '.join(loose)}"
        return f"{by_name}{tensor.name}={whole}{untold}"


def read_model(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> ServedModel:
    """Join a model's metadata and configuration, an empty one where the server tells none.

    Raise LoadFailed where a tensor is of a datatype that the protocol doesn't have.
    """
    for tensor in (*metadata.get("inputs", ()), *metadata.get("outputs", ())):
        shape = tensor.get("shape", ())
        if not isinstance(shape, (list, tuple)):
            raise LoadFailed(
                f'{metadata["name"]}: the server says that the shape of "{tensor["name"]}" is {shape!r}, no list'
            )
        if tensor["datatype"] not in DTYPES:
            raise LoadFailed(
                f'{metadata["name"]}: the server says that "{tensor["name"]}" is {tensor["datatype"]}, which is none '
                f"of the protocol's datatypes: {', '.join(DTYPES)}"
            )
    batch = int(config.get("max_batch_size", 0))
    optional = {tensor["name"] for tensor in config.get("input", ()) if tensor.get("optional")}

    def tensors(kind: str) -> tuple[Tensor, ...]:
        return tuple(
            Tensor(
                tensor["name"],
                tensor["datatype"],
                tuple(int(size) for size in tensor.get("shape", ()))[1 if batch else 0 :],
                tensor["name"] in optional,
            )
            for tensor in metadata.get(kind, ())
        )

    steps = config.get("ensemble_scheduling", {}).get("step", ())
    return ServedModel(
        metadata["name"],
        tensors("inputs"),
        batch,
        bool(config.get("model_transaction_policy", {}).get("decoupled")),
        tuple(dict.fromkeys(step["model_name"] for step in steps)),
        "sequence_batching" in config if config else None,
        tensors("outputs"),
    )
