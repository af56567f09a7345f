"""A model's configuration, as far as serving it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ModelSpec", "SequenceSpec", "StateSpec", "TensorSpec", "parse_spec"]

_NUMPY = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output: its Triton datatype (`FP32`), and its dimensions as the model sees them, without the batch.

    -1 is a variable dimension. Where the configuration reshapes, clients see other dimensions than these. `text` says
    that the user's Python has BYTES as `str`, `spelled` is how the definition spells the tensor, and `reshaped` are the
    other dimensions that clients see; these are said where no configuration is read.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]
    optional: bool = False
    text: bool = False
    spelled: str = ""
    reshaped: tuple[int, ...] | None = None

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of arrays that hold it; `object` for BYTES.

        Raises:
            ImportError: BF16 needs ml_dtypes, which is not installed.
        """
        if self.datatype == "BF16":
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(_NUMPY[self.datatype])

    def wire(self, *, batched: bool) -> tuple[int, ...]:
        """Give the dimensions as clients see them; Triton wants at least one beside the batch."""
        return (self.dims or (1,) * batched) if self.reshaped is None else self.reshaped

    def describe(self, *, batched: bool) -> str:
        """Spell it as people read it: `FP32[batch, 20]`."""
        if self.spelled:
            return self.spelled
        dims = ["batch"] * batched + ["?" if dim < 0 else str(dim) for dim in self.dims]
        return f"{self.datatype}[{', '.join(dims)}]"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's name and tensors; `batched`: each tensor has a leading dimension that Triton batches along.

    `request_parameters` is the argument of its function that takes the request's parameters, if it has one.
    """

    name: str
    batched: bool
    decoupled: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sequence: SequenceSpec | None = None
    request_parameters: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of what the function is given of a request, in the order of `Inputs`."""
        names = tuple(tensor.name for tensor in self.inputs)
        return (*names, self.request_parameters) if self.request_parameters else names


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """How a model's sequences are run.

    `controls` are the inputs that Triton's sequence batcher adds, `ready` is the one of them that says whether a slot
    has a request, and `idle_s` is how long a sequence may be idle. `states` is its implicit state.
    """

    controls: tuple[TensorSpec, ...]
    ready: str
    idle_s: float
    states: tuple[StateSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A tensor that a graph gives with each request of a sequence, and takes with the next one.

    `initial` says that the configuration has a value for the first one.
    """

    input: TensorSpec
    output: TensorSpec
    initial: bool


def parse_spec(config: str) -> ModelSpec:
    """Read the JSON that Triton hands to `initialize` as `model_config`."""
    fields = json.loads(config)
    return ModelSpec(
        name=fields["name"],
        batched=fields["max_batch_size"] > 0,
        decoupled=fields.get("model_transaction_policy", {}).get("decoupled", False),
        inputs=tuple(_parse_tensor(tensor) for tensor in fields["input"]),
        outputs=tuple(_parse_tensor(tensor) for tensor in fields["output"]),
        sequence=_parse_sequence(fields["sequence_batching"]) if "sequence_batching" in fields else None,
    )


def _parse_sequence(fields: Mapping[str, Any]) -> SequenceSpec:
    controls = {
        control["kind"].removeprefix("CONTROL_SEQUENCE_"): TensorSpec(entry["name"], _datatype_of(control), (1,))
        for entry in fields.get("control_input", ())
        for control in entry["control"]
    }
    ready = controls["READY"].name if "READY" in controls else ""
    # 0 is the server's own default, of a second.
    idle_us = int(fields.get("max_sequence_idle_microseconds", 0)) or 1_000_000
    states = tuple(map(_parse_state, fields.get("state", ())))
    return SequenceSpec(tuple(controls.values()), ready, idle_us / 1e6, states)


def _datatype_of(control: Mapping[str, Any]) -> str:
    """Give a control's datatype: that of its values, or of the correlation id."""
    for field, datatype in (("int32_false_true", "INT32"), ("fp32_false_true", "FP32"), ("bool_false_true", "BOOL")):
        if control.get(field):
            return datatype
    datatype = str(control.get("data_type", "TYPE_UINT64")).removeprefix("TYPE_")
    return "BYTES" if datatype == "STRING" else datatype


def _parse_state(fields: Mapping[str, Any]) -> StateSpec:
    given, taken = (_parse_tensor({**fields, "name": fields[key]}) for key in ("input_name", "output_name"))
    return StateSpec(given, taken, bool(fields.get("initial_state")))


def _parse_tensor(fields: Mapping[str, Any]) -> TensorSpec:
    dims = fields["reshape"].get("shape", []) if "reshape" in fields else fields["dims"]
    datatype = fields["data_type"].removeprefix("TYPE_")
    return TensorSpec(
        name=fields["name"],
        datatype="BYTES" if datatype == "STRING" else datatype,
        dims=tuple(int(dim) for dim in dims),
        optional=fields.get("optional", False),
    )
