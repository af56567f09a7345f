"""A model's inputs as a request has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tritonforge.load.errors import InvalidLoad

__all__ = ["Input", "ServedModel", "read_model"]


@dataclass(frozen=True, slots=True)
class Input:
    """One input without its batch dimension; variable sizes are -1."""

    name: str
    datatype: str
    dims: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What load must know of a model. `max_batch_size` is 0 where it doesn't batch; `steps` are an ensemble's."""

    name: str
    inputs: tuple[Input, ...]
    max_batch_size: int
    decoupled: bool
    steps: tuple[str, ...]
    sequences: bool = False

    def shape(self, tensor: Input, sizes: Mapping[str, tuple[int, ...]], names: Sequence[str] = ()) -> tuple[int, ...]:
        """Give the sizes of one input, the batch aside.

        `sizes` has whole shapes by the input's name, and sizes by a dimension's name. `names` are those of the
        dimensions, where they are known; a variable one without a name takes the one size given to no input.
        Raise InvalidLoad where a variable dimension has no size.
        """
        if len(sizes.get(tensor.name, ())) == len(tensor.dims):
            return sizes[tensor.name]
        loose = [size for name, size in sizes.items() if name not in {each.name for each in self.inputs}]
        fallback = loose[0] if len(loose) == 1 else sizes.get(tensor.name, ())
        found = []
        for place, size in enumerate(tensor.dims):
            name = names[place] if place < len(names) else ""
            given = sizes.get(name, ()) if name else fallback
            if size < 0 and len(given) != 1:
                raise InvalidLoad(
                    f'{self.name}: input "{tensor.name}" has the shape {list(tensor.dims)}; give each variable '
                    f"dimension a size, by its name ({name or 'seq'}=128), or the whole shape by the input's"
                )
            found.append(size if size >= 0 else given[0])
        return tuple(found)


def read_model(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> ServedModel:
    """Join a model's metadata and configuration, an empty one where the server tells none."""
    batch = int(config.get("max_batch_size", 0))
    optional = {tensor["name"] for tensor in config.get("input", ()) if tensor.get("optional")}
    inputs = tuple(
        Input(
            tensor["name"],
            tensor["datatype"],
            tuple(int(size) for size in tensor.get("shape", ()))[1 if batch else 0 :],
            tensor["name"] in optional,
        )
        for tensor in metadata.get("inputs", ())
    )
    steps = config.get("ensemble_scheduling", {}).get("step", ())
    return ServedModel(
        metadata["name"],
        inputs,
        batch,
        bool(config.get("model_transaction_policy", {}).get("decoupled")),
        tuple(dict.fromkeys(step["model_name"] for step in steps)),
        "sequence_batching" in config,
    )
