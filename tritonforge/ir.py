"""The representation between definitions and a repository's files: frozen data, no I/O.

Three levels: signatures (what a model takes and gives), `ModelConfig` (what Triton is told of it), and `Repository`
(models, the files each needs, and the graph of each pipeline).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tritonforge.errors import Where

__all__ = [
    "ANONYMOUS",
    "Code",
    "Dim",
    "DynamicBatching",
    "EnsembleStep",
    "File",
    "Graph",
    "InputRef",
    "InstanceGroup",
    "Model",
    "ModelConfig",
    "Part",
    "Reference",
    "Repository",
    "Shim",
    "Signature",
    "Step",
    "StepRef",
    "TensorConfig",
    "TensorSpec",
]

Dim = int | str
"""A dimension: a fixed size, or the name of a variable one. `ANONYMOUS` names nothing: each one may differ."""

ANONYMOUS = "_"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: its name, Triton datatype (`FP32`, `BYTES`), and dimensions without the batch.

    `text` says that a BYTES tensor holds `str` for the Python that reads it, rather than `bytes`.
    """

    name: str
    datatype: str
    dims: tuple[Dim, ...]
    optional: bool = False
    text: bool = False

    def describe(self, *, batched: bool) -> str:
        """Spell it as people read it: `FP32[batch, 20]`."""
        dims = (["batch"] if batched else []) + [str(dim) for dim in self.dims]
        return f"{self.datatype}[{', '.join(dims)}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives. `batched`: every tensor has a leading dimension that Triton batches along."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    decoupled: bool = False

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


# --- What Triton is told -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TensorConfig:
    """An `input` or `output` entry: `dims` as clients see them (-1 is variable), `reshape` as the model does."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """The `dynamic_batching` group. The delay is in microseconds."""

    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_us: int = 0


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """One `instance_group` entry: how many instances, on which kind of device."""

    kind: Literal["KIND_CPU", "KIND_GPU", "KIND_AUTO", "KIND_MODEL"]
    count: int
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """One step of an ensemble: maps from the composing model's tensor names to the ensemble's."""

    model_name: str
    input_map: tuple[tuple[str, str], ...]
    output_map: tuple[tuple[str, str], ...]
    model_version: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What config.pbtxt says of one model."""

    name: str
    max_batch_size: int
    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]
    backend: str = ""
    platform: str = ""
    dynamic_batching: DynamicBatching | None = None
    instance_groups: tuple[InstanceGroup, ...] = ()
    ensemble_steps: tuple[EnsembleStep, ...] = ()
    decoupled: bool = False
    parameters: tuple[tuple[str, str], ...] = ()


# --- What a repository is made of -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """A file of a version folder: its path there (with `/`), and its bytes, in hand or to be copied from `source`."""

    path: str
    content: bytes | None = None
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A model that runs inside a fused pipeline: the variable that holds it, its tensors, and, of weights, their file.

    `path` is below the version folder; empty for a Python model. `text` and `raw` name the BYTES inputs that it sees as
    `str` and as `bytes`.
    """

    module: str
    variable: str
    path: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shim:
    """What the generated model.py of a Python model is told: where the user's function is.

    `paths` are the import roots below the version folder; `text` names the BYTES tensors that hold `str`; `parts` are
    the models that a fused pipeline calls.
    """

    module: str
    attribute: str
    paths: tuple[str, ...]
    text: tuple[str, ...] = ()
    origin: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """The Python of one model: its shim, the files that travel, and the source path of each, for people."""

    shim: Shim
    files: tuple[File, ...]
    origins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InputRef:
    """A pipeline's own input, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class StepRef:
    """An output of a step, by the step's index and the output's name."""

    step: int
    output: str


Reference = InputRef | StepRef


@dataclass(frozen=True, slots=True)
class Step:
    """One call in a pipeline: the model's name and signature, and what each of its inputs is fed with."""

    model: str
    signature: Signature
    inputs: tuple[tuple[str, Reference], ...]
    where: Where = field(compare=False)


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline as traced: its steps in the order of their calls, and what each output is."""

    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, Reference], ...]

    def alive(self) -> frozenset[int]:
        """Find the steps whose results reach an output; the others are not served."""
        waiting = [reference.step for _, reference in self.outputs if isinstance(reference, StepRef)]
        alive: set[int] = set()
        while waiting:
            index = waiting.pop()
            if index not in alive:
                alive.add(index)
                waiting += [ref.step for _, ref in self.steps[index].inputs if isinstance(ref, StepRef)]
        return frozenset(alive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model folder: configuration, what is in its version folder, and, of a pipeline, the graph."""

    config: ModelConfig
    signature: Signature
    where: Where = field(compare=False)
    code: Code | None = None
    files: tuple[File, ...] = ()
    graph: Graph | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """All models, sorted by name."""

    models: tuple[Model, ...]

    def by_name(self) -> Mapping[str, Model]:
        """Index the models by name."""
        return {model.config.name: model for model in self.models}
