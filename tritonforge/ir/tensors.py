"""Tensors as config.pbtxt has them: inputs, outputs, and those that Triton makes of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tritonforge.ir.fields import mapped

__all__ = ["BatchInput", "BatchInputKind", "BatchOutput", "Format", "TensorConfig"]

Format = Literal["FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"]
BatchInputKind = Literal[
    "BATCH_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
    "BATCH_ITEM_SHAPE",
    "BATCH_ITEM_SHAPE_FLATTEN",
]


@dataclass(frozen=True, slots=True)
class TensorConfig:
    """An `input` or `output` entry: `dims` as clients see them (-1 is variable), `reshape` as the model does.

    Only inputs have `optional`, `format` and `allow_ragged_batch`; only outputs have `label_filename`.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = mapped(wraps="shape")
    optional: bool = False
    format: Format = "FORMAT_NONE"
    is_shape_tensor: bool = False
    allow_ragged_batch: bool = False
    is_non_linear_format_io: bool = False
    label_filename: str = ""


@dataclass(frozen=True, slots=True)
class BatchInput:
    """A `batch_input` entry: a tensor that Triton computes from the shapes of a batch's requests."""

    kind: BatchInputKind = "BATCH_ELEMENT_COUNT"
    target_names: tuple[str, ...] = mapped((), name="target_name")
    data_type: str = "TYPE_INVALID"
    source_inputs: tuple[str, ...] = mapped((), name="source_input")


@dataclass(frozen=True, slots=True)
class BatchOutput:
    """A `batch_output` entry: outputs that Triton cuts apart as an input was put together."""

    target_names: tuple[str, ...] = mapped((), name="target_name")
    kind: Literal["BATCH_SCATTER_WITH_INPUT_SHAPE"] = "BATCH_SCATTER_WITH_INPUT_SHAPE"
    source_inputs: tuple[str, ...] = mapped((), name="source_input")
