"""What a definition's annotations don't say of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from tritonforge import ir
from tritonforge.define.settings.base import Datatype, Setting, Size

__all__ = ["BatchInput", "BatchOutput", "Tensor"]


class Tensor(Setting):
    """What the annotations don't say of an input or output: `tensors={"image": Tensor(format="nchw")}`."""

    prefixes: ClassVar[Mapping[str, str]] = {"format": "FORMAT_", "data_type": "TYPE_"}

    data_type: Datatype | None = None
    """Its type. Default: that of the annotation. Only files that are served as they are need it."""
    dims: tuple[Size, ...] | None = None
    """Its dimensions as clients see them, without the batch; -1 is variable. Default: those of the annotation."""
    reshape: tuple[Size, ...] | None = None
    """Its dimensions as the model sees them, without the batch. Default: the same."""
    optional: bool = False
    """Whether requests may leave it out. Default: as annotated. Of inputs only."""
    format: Literal["none", "nhwc", "nchw"] = "none"
    """How an image is laid out. Default: it isn't said. Of inputs only."""
    is_shape_tensor: bool = False
    """Whether it is one of TensorRT's shape tensors. Default: no."""
    allow_ragged_batch: bool = False
    """Whether requests of different shapes may be in one batch; the backend gets them end to end. Default: no. Of
    inputs only."""
    is_non_linear_format_io: bool = False
    """Whether TensorRT's engine has it in a format that isn't linear. Default: no. Since 24.08."""
    label_filename: str = ""
    """A file in the model's folder with a label a line, for the classification extension. Of outputs only."""
    labels: tuple[str, ...] = ()
    """The labels themselves; the build writes the file. Of outputs only."""

    @model_validator(mode="after")
    def _agrees(self) -> Tensor:
        if any("\n" in label for label in self.labels):
            raise ValueError("a label is one line")
        return self


class BatchInput(Setting):
    """A tensor that Triton computes of the shapes of a batch's requests, and gives to the backend."""

    record: ClassVar[type[Any]] = ir.BatchInput
    prefixes: ClassVar[Mapping[str, str]] = {"kind": "BATCH_", "data_type": "TYPE_"}

    kind: Literal[
        "element_count",
        "accumulated_element_count",
        "accumulated_element_count_with_zero",
        "max_element_count_as_shape",
        "item_shape",
        "item_shape_flatten",
    ]
    """What it holds."""
    target_names: tuple[str, ...]
    """The model's inputs that get it."""
    data_type: Datatype
    """Its type."""
    source_inputs: tuple[str, ...]
    """The inputs whose shapes it is computed of."""


class BatchOutput(Setting):
    """Outputs that are cut into responses as an input was put together."""

    record: ClassVar[type[Any]] = ir.BatchOutput
    prefixes: ClassVar[Mapping[str, str]] = {"kind": "BATCH_"}

    target_names: tuple[str, ...]
    """The outputs."""
    kind: Literal["scatter_with_input_shape"] = "scatter_with_input_shape"
    """How they are cut."""
    source_inputs: tuple[str, ...]
    """The inputs whose shapes say where."""
