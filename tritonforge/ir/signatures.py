"""Signatures: what a model takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANONYMOUS", "Dim", "Signature", "TensorSpec"]

Dim = int | str
"""A dimension: a fixed size, or the name of a variable one. `ANONYMOUS` names nothing: each one may differ."""

ANONYMOUS = "_"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: its name, Triton datatype (`FP32`, `BYTES`), and dimensions without the batch.

    `text` says that a BYTES tensor holds `str` for the Python that reads it, rather than `bytes`. `reshaped` is what
    clients see in the place of the dimensions, where a setting says so (-1 is a variable one).
    """

    name: str
    datatype: str
    dims: tuple[Dim, ...]
    optional: bool = False
    text: bool = False
    reshaped: tuple[int, ...] | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The dimensions as Triton writes them: -1 for a variable one."""
        return tuple(dim if isinstance(dim, int) else -1 for dim in self.dims)

    @property
    def wire(self) -> tuple[int, ...]:
        """The dimensions as clients see them; Triton wants at least one beside the batch."""
        return (self.sizes or (1,)) if self.reshaped is None else self.reshaped

    def sent_shape(self, shape: tuple[int, ...], *, batched: bool) -> tuple[int, ...]:
        """Give a shape of the model's Python as clients see it."""
        return _reshaped(shape, self.sizes, self.wire, batched=batched)

    def read_shape(self, shape: tuple[int, ...], *, batched: bool) -> tuple[int, ...]:
        """Give a shape that clients see as the model's Python has it."""
        return _reshaped(shape, self.wire, self.sizes, batched=batched)

    def describe(self, *, batched: bool) -> str:
        """Spell it as people read it: `FP32[batch, 20]`."""
        dims = (["batch"] if batched else []) + [str(dim) for dim in self.dims]
        return f"{self.datatype}[{', '.join(dims)}]"


def _reshaped(shape: tuple[int, ...], dims: tuple[int, ...], to: tuple[int, ...], *, batched: bool) -> tuple[int, ...]:
    """Put the variable sizes of `dims` into `to` in their order, as Triton does; -1 where there are too few."""
    variable = iter([size for dim, size in zip(dims, shape[batched:], strict=True) if dim < 0])
    return shape[:batched] + tuple(next(variable, -1) if dim < 0 else dim for dim in to)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives. `batched`: every tensor has a leading dimension that Triton batches along.

    A `sequence` model keeps a state between the requests of one correlation id. `request_parameters` is the argument,
    after the inputs, that takes the parameters of the request; empty where none does.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    decoupled: bool = False
    sequence: bool = False
    request_parameters: str = ""

    def input(self, name: str) -> TensorSpec | None:
        """Find an input by its name."""
        return next((spec for spec in self.inputs if spec.name == name), None)

    def output(self, name: str) -> TensorSpec | None:
        """Find an output by its name."""
        return next((spec for spec in self.outputs if spec.name == name), None)

    def __str__(self) -> str:
        inputs = ", ".join(
            f"{spec.name}: {spec.describe(batched=self.batched)}{' | None' if spec.optional else ''}"
            for spec in self.inputs
        )
        outputs = ", ".join(f"{spec.name}: {spec.describe(batched=self.batched)}" for spec in self.outputs)
        return f"({inputs}) -> ({outputs})"
