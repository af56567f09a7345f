"""What a repository is made of: models, the files each needs, and the graph of each pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tritonforge.errors import Where
from tritonforge.ir.config import ModelConfig
from tritonforge.ir.dimensions import NamedDim
from tritonforge.ir.padding import PaddedDim
from tritonforge.ir.signatures import Signature

__all__ = [
    "Code",
    "File",
    "Graph",
    "InputRef",
    "Model",
    "Part",
    "Reference",
    "Repository",
    "Shim",
    "Step",
    "StepRef",
]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a version folder, or beside config.pbtxt: its path there (with `/`), and its bytes.

    They are in hand (`content`), or to be copied from `source`.
    """

    path: str
    content: bytes | None = None
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A model that a pipeline's body calls inside Triton: the variable that holds it, its name, and its signature.

    `path` is the file below the version folder of ONNX weights that run beside the body; a `remote` part is called
    where Triton serves it. `padding` are the dimensions that are padded on the way to it. `copied` are the inputs that
    it gets copies of, since others read the same values after it. `parameters` and `level` are how ONNX Runtime runs
    the weights: its parameters, and how far the graph is optimized. `dims` are the named dimensions that must agree; a
    `nested` part is called by the code of another model. `most_rows` is how many rows a remote one takes at a time; 0
    where that isn't known.
    """

    module: str
    variable: str
    name: str
    signature: Signature
    path: str = ""
    remote: bool = False
    padding: tuple[PaddedDim, ...] = ()
    copied: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    level: int = 0
    dims: tuple[NamedDim, ...] = ()
    nested: bool = False
    most_rows: int = 0


@dataclass(frozen=True, slots=True)
class Shim:
    """What the generated model.py of a Python model is told: where the user's function is.

    `paths` are the import roots below the version folder; `text` and `text_outputs` name the BYTES inputs and outputs
    that hold `str`, and `spelled` says how the definition spells outputs with variable dimensions, which have no names
    in a configuration; `parts` are the models that a pipeline's body calls; a function that isn't
    `stacked` is called for each request by itself; `padding` are the dimensions that are padded, `dims` the other named
    ones that must agree; a `sequence` keeps a state; the argument `request_parameters` takes those.
    """

    module: str
    attribute: str
    paths: tuple[str, ...]
    text: tuple[str, ...] = ()
    text_outputs: tuple[str, ...] = ()
    spelled: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    parts: tuple[Part, ...] = ()
    stacked: bool = True
    padding: tuple[PaddedDim, ...] = ()
    sequence: bool = False
    dims: tuple[NamedDim, ...] = ()
    request_parameters: str = ""

    @property
    def names_dims(self) -> bool:
        """Whether any named dimensions must agree, its own or its parts'."""
        return bool(self.dims) or any(part.dims for part in self.parts)

    @property
    def pads(self) -> bool:
        """Whether anything is padded, by it or by its parts."""
        return bool(self.padding) or any(part.padding for part in self.parts)


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
    """One call in a pipeline: the model's name and signature, and what each of its inputs is fed with.

    `told` says that it hands on the request's parameters, which the model takes.
    """

    model: str
    signature: Signature
    inputs: tuple[tuple[str, Reference], ...]
    where: Where = field(compare=False)
    told: bool = False


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
    """One model folder: configuration, what is in its version folder, and, of a pipeline, the graph.

    `beside` are the files next to config.pbtxt: labels, warm-up data. `version` is the folder's number where it is
    given; else the build finds one. `environment` is the CPython (`3.11`) of the environment beside, if it has one;
    `requirements` are what it needs in the server's own Python, as pip writes them. `declared`: its files are carried
    as they are, and nobody has held them against its configuration.
    """

    config: ModelConfig
    signature: Signature
    where: Where = field(compare=False)
    code: Code | None = None
    files: tuple[File, ...] = ()
    beside: tuple[File, ...] = ()
    version: int | None = None
    graph: Graph | None = None
    environment: str = ""
    requirements: tuple[str, ...] = ()
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Repository:
    """All models, sorted by name."""

    models: tuple[Model, ...]

    def by_name(self) -> Mapping[str, Model]:
        """Index the models by name."""
        return {model.config.name: model for model in self.models}
