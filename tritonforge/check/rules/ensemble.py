"""An ensemble by itself: what it may set, and how its steps hang together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonforge.check.finding import Found, error
from tritonforge.check.model import ENSEMBLE, Model

__all__ = ["check_ensemble"]

_STEPS = "ensemble_scheduling.step"
_EXCLUDED = ("instance_group", "optimization", "model_warmup")


def check_ensemble(model: Model) -> Iterator[Found]:
    """Check the ensemble's own configuration."""
    config = model.config
    if not config.HasField("ensemble_scheduling"):
        if config.platform == ENSEMBLE:
            message = "an ensemble needs ensemble_scheduling, with its steps"
            yield error("TF660", "platform", message, "add ensemble_scheduling { step { … } }")
        return
    if config.platform != ENSEMBLE:
        message = f'ensemble_scheduling needs platform: "ensemble"; found "{config.platform}"'
        yield error("TF660", "platform", message, 'platform: "ensemble", and no backend')
        return
    for name in _EXCLUDED:
        value = getattr(model.document.message, name)
        if model.document.message.HasField(name) if name == "optimization" else value:
            yield error("TF661", name, f"an ensemble takes no {name}", "set it on the ensemble's models")
    steps = config.ensemble_scheduling.step
    if not steps:
        yield error("TF662", "ensemble_scheduling", "an ensemble needs at least one step", "add step { … }")
        return
    yield from _check_steps(steps)
    if all(step.input_map and step.output_map for step in steps):
        yield from _check_flow(config)


def _check_steps(steps: Any) -> Iterator[Found]:
    producers: dict[str, str] = {}
    for number, step in enumerate(steps):
        path = f"{_STEPS}[{number}]"
        if not step.model_name:
            yield error("TF662", f"{path}.model_name", "a step names no model", 'model_name: "…"')
        for name in ("input_map", "output_map"):
            if not getattr(step, name):
                message = f"the step of {step.model_name or 'no model'} has no {name}"
                yield error("TF662", f"{path}.{name}", message, f'{name} {{ key: "tensor of the model" value: "…" }}')
        for key, tensor in sorted(step.output_map.items()):
            if tensor in producers:
                message = f'the tensor "{tensor}" is produced twice, by {producers[tensor]} and by {step.model_name}'
                yield error("TF663", f'{path}.output_map["{key}"]', message, "rename one")
            producers.setdefault(tensor, step.model_name)


def _check_flow(config: Any) -> Iterator[Found]:
    steps = config.ensemble_scheduling.step
    consumed = {tensor for step in steps for tensor in step.input_map.values()}
    produced = {tensor for step in steps for tensor in step.output_map.values()}
    known = consumed | produced
    for number, tensor in enumerate(config.input):
        if tensor.name not in known:
            message = f'no step takes the input "{tensor.name}"'
            yield error("TF664", f"input[{number}]", message, "map it in a step's input_map, or take it out")
    ready = _ready(config)
    outputs = {tensor.name for tensor in config.output}
    for number, tensor in enumerate(config.output):
        if tensor.name not in known:
            message = f'no step produces the output "{tensor.name}"'
            yield error("TF665", f"output[{number}]", message, "map it in a step's output_map, or take it out")
        elif tensor.name not in ready:
            message = f'the output "{tensor.name}" never comes to be{_because(config, tensor.name, ready)}'
            yield error("TF665", f"output[{number}]", message, "feed each step from an input or from another step")
    for number, step in enumerate(steps):
        for key, name in sorted(step.output_map.items()):
            if name not in consumed and name not in outputs:
                field = f'{_STEPS}[{number}].output_map["{key}"]'
                yield error("TF666", field, f'nothing uses the tensor "{name}"', "leave it out of output_map")
            elif name not in ready and name not in outputs:
                field = f'{_STEPS}[{number}].output_map["{key}"]'
                yield error("TF666", field, f'the tensor "{name}" never comes to be{_because(config, name, ready)}')
        for key, name in sorted(step.input_map.items()):
            if name not in ready and name not in produced and name not in outputs:
                field = f'{_STEPS}[{number}].input_map["{key}"]'
                message = f'the tensor "{name}" is neither an input nor produced by a step'
                yield error("TF666", field, message, "name an input, or a value of another step's output_map")


def _ready(config: Any) -> set[str]:
    """Give the tensors that come to be, from the inputs on."""
    ready = {tensor.name for tensor in config.input}
    waiting = list(config.ensemble_scheduling.step)
    while waiting:
        blocked = []
        for step in waiting:
            if ready.issuperset(step.input_map.values()):
                ready.update(step.output_map.values())
            else:
                blocked.append(step)
        if len(blocked) == len(waiting):
            break
        waiting = blocked
    return ready


def _because(config: Any, tensor: str, ready: set[str]) -> str:
    """Say which tensor the way to another is missing, or that it goes in a circle."""
    producers = {name: step for step in config.ensemble_scheduling.step for name in step.output_map.values()}
    path = [tensor]
    while (step := producers.get(path[-1])) is not None:
        missing = next((name for name in sorted(step.input_map.values()) if name not in ready), None)
        if missing is None:
            return ""
        if missing in path:
            return f": the steps wait for each other, {' ← '.join([*path, missing])}"
        path.append(missing)
    return "" if path[-1] == tensor else f': nothing produces "{path[-1]}", which it needs'
