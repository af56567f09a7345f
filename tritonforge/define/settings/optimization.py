"""What the server and its backends optimize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tritonforge import ir
from tritonforge.define.settings.base import Count, Index, Setting

__all__ = ["Accelerator", "Accelerators", "Cuda", "GraphLowerBound", "GraphSpec", "Optimization"]


class GraphLowerBound(Setting):
    """The smallest shapes that a CUDA graph is used for."""

    record: ClassVar[type[Any]] = ir.GraphLowerBound

    batch_size: Index = 0
    """The smallest batch. Default 0: none of the model's."""
    inputs: Mapping[str, tuple[int, ...]] = {}
    """Dimensions by input, without the batch."""


class GraphSpec(Setting):
    """Shapes that a CUDA graph is captured for."""

    record: ClassVar[type[Any]] = ir.GraphSpec

    batch_size: Index = 0
    """The batch size. Default 0: the model isn't batched."""
    inputs: Mapping[str, tuple[int, ...]] = {}
    """Dimensions by input, without the batch."""
    lower_bound: GraphLowerBound | None = None
    """The smallest shapes it is used for, too. Default: only its own."""


class Cuda(Setting):
    """CUDA graphs and streams, of the TensorRT backend."""

    record: ClassVar[type[Any]] = ir.Cuda

    graphs: bool = False
    """Whether CUDA graphs are captured. Default: no."""
    busy_wait_events: bool = False
    """Whether the host waits for the GPU in a busy loop. Default: no."""
    graph_specs: tuple[GraphSpec, ...] = ()
    """What graphs are captured for. Default: batch sizes of 1, of powers of 2, of the largest, and of preference."""
    output_copy_stream: bool = False
    """Whether results are copied on a stream of their own. Default: no."""


class Accelerator(Setting):
    """An execution accelerator of the ONNX or TensorFlow backend."""

    record: ClassVar[type[Any]] = ir.Accelerator

    name: str
    """Its name: `tensorrt`, `cuda`, `openvino`, …"""
    parameters: Mapping[str, str] = {}
    """Its parameters: `{"precision_mode": "FP16"}`."""


class Accelerators(Setting):
    """Execution accelerators, in the order in which they are tried."""

    record: ClassVar[type[Any]] = ir.Accelerators

    gpu: tuple[Accelerator, ...] = ()
    """Of instances on GPUs. Default: none."""
    cpu: tuple[Accelerator, ...] = ()
    """Of instances on the processor. Default: none."""


class Optimization(Setting):
    """What the server and its backends optimize."""

    record: ClassVar[type[Any]] = ir.Optimization
    prefixes: ClassVar[Mapping[str, str]] = {"priority": "PRIORITY_"}

    graph_level: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    """The backend's optimization of the graph: -1 and 1 of the ONNX backend are less than its default. Default: the
    backend's."""
    priority: Literal["default", "max", "min"] = "default"
    """The priority of CUDA streams and of scheduler threads. Default: the middle."""
    cuda: Cuda | None = None
    """CUDA graphs and streams. Default: none."""
    execution_accelerators: Accelerators | None = None
    """Accelerators of the backend. Default: none."""
    input_pinned_memory: bool | None = None
    """Whether inputs pass through pinned memory on their way to the GPU. Default: yes."""
    output_pinned_memory: bool | None = None
    """Whether outputs do. Default: yes."""
    gather_kernel_buffer_threshold: Count = 0
    """From how many inputs on a CUDA kernel gathers them. Default: 0, never."""
    eager_batching: bool = False
    """Whether the next batch is prepared while one runs. Default: no."""
