"""Repositories made by hand, for checks to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tritonforge.errors import Diagnostic, Where
from tritonforge.ir import Dim, Graph, InputRef, Model, ModelConfig, Reference, Repository, Signature, Step, TensorSpec
from tritonforge.validate import validate

Tensors = Mapping[str, Sequence[Dim]]


def signature(inputs: Tensors, outputs: Tensors, *, batched: bool = True, decoupled: bool = False) -> Signature:
    """Make a signature of FP32 tensors; a name that ends in `?` is optional."""
    return Signature(
        tuple(TensorSpec(name.rstrip("?"), "FP32", tuple(dims), name.endswith("?")) for name, dims in inputs.items()),
        tuple(TensorSpec(name, "FP32", tuple(dims)) for name, dims in outputs.items()),
        batched=batched,
        decoupled=decoupled,
    )


def model(name: str, one: Signature, *, graph: Graph | None = None, line: int = 1, file: str = "a.py") -> Model:
    """Make a model of a signature."""
    platform = "" if graph is None else "ensemble"
    config = ModelConfig(name=name, platform=platform, max_batch_size=0, inputs=(), outputs=())
    return Model(config=config, signature=one, where=Where(file, line, name), graph=graph)


def step(name: str, one: Signature, line: int = 1, **inputs: Reference) -> Step:
    """Make a step of the pipeline `p`."""
    return Step(name, one, tuple(inputs.items()), Where("a.py", line, f"p → {name}"))


def found(*models: Model) -> list[Diagnostic]:
    """Check a repository."""
    return list(validate(Repository(models)))


def in_pipeline(one: Signature, steps: Sequence[Step], **outputs: Reference) -> list[str]:
    """Check a pipeline `p`; give code, place and message of what is found."""
    graph = Graph(tuple(steps), tuple(outputs.items()))
    return [f"{each.code} {each.where.subject}: {each.message}" for each in found(model("p", one, graph=graph))]


X = InputRef("x")
