"""Which lowering a pipeline takes, and why: what `lowering="auto"` chooses, and what `build --explain` tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tritonforge.define import Batching, Definition, Instances, ModelFiles, Options, Pipeline, PythonModel, WeightsModel
from tritonforge.errors import Where
from tritonforge.ir import Graph, InputRef, StepRef
from tritonforge.lower.ensemble import GOES_TO_ALL, untold_steps
from tritonforge.lower.options import NOT_OF_ENSEMBLES

__all__ = ["Choice", "choose", "count_callers"]

AnyDefinition = Definition[..., Any]
AnyPipeline = Pipeline[..., Any]
Lowered = Literal["ensemble", "fused", "bls"]

_OF_THE_BUILD = frozenset({"examples"})
"""Settings that no model has, only the build: they mean the same in each lowering."""

_NO_ENSEMBLE = "each step would be a model of its own, with a hop through the server between them"
_NO_BLS = "its body only chains models, and needs no code between their calls"
_AT_RISK = "where steps that run beside each other fail, Triton 24.10 loses count of an ensemble's requests, or crashes"


@dataclass(frozen=True, slots=True)
class Choice:
    """The lowering of a pipeline: whether `auto` chose it, for which reasons, and why none of the others.

    `risk` speaks against the lowering itself, where something does.
    """

    name: str
    where: Where
    lowering: Lowered
    automatic: bool
    reasons: tuple[str, ...]
    others: tuple[tuple[Lowered, str], ...]
    risk: str = ""


def choose(
    pipeline: AnyPipeline,
    graph: Graph | None,
    steps: Iterable[AnyDefinition],
    shared: Mapping[int, int],
    untraced: str = "",
) -> Choice:
    """Choose the lowering of a pipeline, or tell of the one that it asks for.

    `auto` takes fused where all steps are Python that loses nothing by running in one process, else an ensemble.

    Args:
        pipeline: the pipeline.
        graph: its graph; None where its body can't be traced.
        steps: all that it calls, also by way of other pipelines.
        shared: how many pipelines call each definition, by its id.
        untraced: why it has no graph.
    """
    steps = tuple(steps)
    impossible = (*_own_obstacles(pipeline), *(fault for step in steps for fault in _obstacles(step)))
    lost = tuple(loss for step in steps for loss in _losses(step, shared))
    unfit = _not_an_ensemble(pipeline, graph)
    asked = pipeline.lowering
    if asked == "auto":
        lowering, reasons, others = _automatic(steps, impossible, lost, unfit)
    else:
        lowering = asked
        reasons = ("its definition says so",)
        others = _beside(asked, untraced, (*impossible, *lost), unfit)
    risk = _AT_RISK if graph is not None and _forks(graph) else ""
    if risk and lowering != "ensemble":
        others = tuple((name, f"{told}; {risk}" if name == "ensemble" else told) for name, told in others)
        risk = ""
    return Choice(pipeline.name, pipeline.where, lowering, asked == "auto", reasons, others, risk)


def count_callers(called: Mapping[int, Sequence[AnyDefinition]]) -> Counter[int]:
    """Count the pipelines that call each definition, by its id."""
    return Counter(id(model) for models in called.values() for model in {id(one): one for one in models}.values())


_Found = tuple[Lowered, tuple[str, ...], tuple[tuple[Lowered, str], ...]]


def _automatic(
    steps: Sequence[AnyDefinition], impossible: tuple[str, ...], lost: tuple[str, ...], unfit: tuple[str, ...]
) -> _Found:
    if impossible:
        return "ensemble", impossible, (("bls", _NO_BLS),)
    if unfit:
        return "fused", unfit, (("bls", _NO_BLS),)
    if lost:
        return "ensemble", lost, (("bls", _NO_BLS),)
    names = ", ".join(dict.fromkeys(step.name for step in steps if not isinstance(step, Pipeline)))
    reason = f"all its steps ({names}) are Python that loses nothing by running in one process"
    return "fused", (reason,), (("ensemble", _NO_ENSEMBLE), ("bls", _NO_BLS))


def _beside(
    asked: Lowered, untraced: str, losses: tuple[str, ...], unfit: tuple[str, ...]
) -> tuple[tuple[Lowered, str], ...]:
    """Say of the lowerings that weren't asked for what speaks against each, or for it."""
    if untraced:
        return (("ensemble", untraced), ("fused", untraced))
    fused = "; ".join(losses) or "nothing speaks against it, and it has no hops between steps"
    told: dict[Lowered, str] = {"ensemble": "; ".join(unfit) or _NO_ENSEMBLE, "fused": fused, "bls": _NO_BLS}
    return tuple((lowering, reason) for lowering, reason in told.items() if lowering != asked)


def _forks(graph: Graph) -> bool:
    """Say whether any two steps run beside each other: neither needs the other's result."""
    needs: list[set[int]] = []  # of each step, those before it that it waits for
    for step in graph.steps:
        direct = {reference.step for _, reference in step.inputs if isinstance(reference, StepRef)}
        needs.append(direct.union(*(needs[index] for index in direct)))
    alive = sorted(graph.alive())
    return any(earlier not in needs[later] for place, later in enumerate(alive) for earlier in alive[:place])


def _own_obstacles(pipeline: AnyPipeline) -> Iterable[str]:
    """Say what keeps a pipeline itself from being fused."""
    if not pipeline.variable:
        yield "no variable of its module holds it, so that Triton's Python couldn't find its body"
    if pipeline.options.max_inflight_requests is not None:
        yield "max_inflight_requests is a setting of ensembles"


def _obstacles(step: AnyDefinition) -> Iterable[str]:
    """Say what keeps a step from running inside a fused pipeline."""
    if isinstance(step, ModelFiles):
        yield f"{step.name} is files that only Triton runs"
    elif isinstance(step, WeightsModel) and step.kind != "onnx":
        yield f"{step.name} is TorchScript, which can't run inside a fused pipeline"
    elif isinstance(step, Pipeline) and step.lowering == "bls":
        yield f"{step.name} is a bls pipeline, which calls its models where Triton serves them"
    elif not step.variable and not isinstance(step, Pipeline):
        yield f"no variable holds {step.name}, so that Triton's Python couldn't find it"


def _losses(step: AnyDefinition, shared: Mapping[int, int]) -> Iterable[str]:
    """Say what a step would lose in a fused pipeline."""
    if isinstance(step, WeightsModel) and step.kind == "onnx":
        yield f"{step.name} is ONNX, which needs the Python package onnxruntime when fused, and NVIDIA's image has none"
        return
    settings = _settings(step)
    if settings:
        yield f"{step.name} has settings that count only where it is scheduled by itself: {', '.join(settings)}"
    if isinstance(step, PythonModel) and step.pads:
        yield f"{step.name} pads requests of different sizes to share a call, which it does only by itself"
    if isinstance(step, PythonModel) and isinstance(step.target, type) and shared.get(id(step), 0) > 1:
        yield f"{step.name} is a class that {shared[id(step)]} pipelines call: fused, each would load its own copy"


def _settings(step: AnyDefinition) -> list[str]:
    """Name the settings of a step that a fused pipeline hasn't."""
    found = []
    if getattr(step, "instances", None) not in (None, Instances(cpu=1)):
        found.append("instances")
    batching: Batching | None = getattr(step, "batching", None)
    if batching is not None:
        plain = Batching(max_batch_size=batching.max_batch_size)
        found += [name for name in Batching.model_fields if getattr(batching, name) != getattr(plain, name)]
    if isinstance(step, PythonModel) and step.parameters:
        found.append("parameters")
    plain_options = Options()
    return found + [
        name
        for name in Options.model_fields
        if name not in _OF_THE_BUILD and getattr(step.options, name) != getattr(plain_options, name)
    ]


def _not_an_ensemble(pipeline: AnyPipeline, graph: Graph | None) -> tuple[str, ...]:
    """Say what keeps a pipeline from being an ensemble."""
    own = [name for name in ("batching", "instances") if getattr(pipeline, name) is not None]
    own += [name for name in NOT_OF_ENSEMBLES if getattr(pipeline.options, name)]
    found = [f"it has {' and '.join(own)} of its own, which an ensemble can't have"] if own else []
    inputs = {spec.name for spec in pipeline.signature.inputs}
    for name, reference in graph.outputs if graph else ():
        if name in inputs and reference != InputRef(name):
            found.append(
                f'its output "{name}" has the name of an input, and an ensemble would take both for one tensor'
            )
    if graph is not None:
        untold = dict.fromkeys(step.model for step in untold_steps(graph))
        found += [f"its call of {model} leaves out the request's parameters, {GOES_TO_ALL}" for model in untold]
    return tuple(found)
