"""Ensembles beside their models: existence, versions, circles, and the order in which they are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from tritonforge.check.across.decoupled import check_cached, check_streams, is_stream
from tritonforge.check.across.edges import check_edges
from tritonforge.check.complete import served_versions
from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model

__all__ = ["check_ensembles"]

_STEPS = "ensemble_scheduling.step"
_TENSORS = re.compile(r"(input|output|batch_input|batch_output|max_batch_size)\b")
"""The fields that say what a model takes and gives."""

_FLOW = re.compile(r"ensemble_scheduling|(input|output)\[\d+\]$")
"""The fields at which an ensemble is told that its steps don't hang together."""

_CRASH = "take one of the steps out: Triton 24.10 refuses it, or crashes where another ensemble is made of it"


def check_ensembles(models: Mapping[str, Model], refused: dict[str, set[str]]) -> Iterator[tuple[Model, Found]]:
    """Check each ensemble against its models. `refused` are the models that Triton won't load; it grows.

    `models` are all whose text could be read; a name that is only in `refused` has a folder. With each name in
    `refused` are the fields that are wrong: what follows from those alone isn't told again.
    """
    circles = _circles(models)
    decoupled = {name for name, model in models.items() if model.config.model_transaction_policy.decoupled}
    for name in _in_order(models):
        model = models[name]
        if not model.config.HasField("ensemble_scheduling"):
            continue
        if is_stream(model, decoupled):
            decoupled.add(name)
        found = list(_check(model, models, refused, decoupled, circles))
        amiss = {each.field for each in found if each.severity == "error"}
        if amiss:
            refused.setdefault(name, set()).update(amiss)
        yield from ((model, each) for each in found)


def _check(
    model: Model,
    models: Mapping[str, Model],
    refused: Mapping[str, set[str]],
    decoupled: set[str],
    circles: Mapping[str, Found],
) -> Iterator[Found]:
    steps, wrong = model.config.ensemble_scheduling.step, refused.get(model.name, set())
    circle = circles if model.name in circles else {}
    if circle:
        yield circle[model.name]
    told = {name: fields for name, fields in refused.items() if name not in circle}
    for number, step in enumerate(steps):
        if f"{_STEPS}[{number}].model_name" not in wrong:
            yield from _check_member(number, step, models, told)
    members = [_as_written(step.model_name, models, refused) for step in steps]
    edges = list(check_edges(model, members, wrong=wrong))
    yield from edges
    yield from check_cached(model, decoupled)
    known = None not in members and not any(each.code in ("TF671", "TF672") for each in edges)
    if known and not circle and not any(_FLOW.match(field) for field in wrong):
        yield from check_streams(model, decoupled)


def _as_written(name: str, models: Mapping[str, Model], refused: Mapping[str, set[str]]) -> Model | None:
    """Give a model whose tensors and batches are as they are meant, though other things may be wrong with it."""
    return None if any(_TENSORS.match(field) for field in refused.get(name, ())) else models.get(name)


def _check_member(
    number: int, step: object, models: Mapping[str, Model], refused: Mapping[str, set[str]]
) -> Iterator[Found]:
    name, version = getattr(step, "model_name", ""), int(getattr(step, "model_version", -1))
    field = f"{_STEPS}[{number}].model_name"
    if name in refused:
        yield error("TF678", field, f"its step {name} won't load", f"mend {name} first")
    elif name not in models:
        near = get_close_matches(name, models, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"the models are {', '.join(sorted(models))}"
        yield error("TF670", field, f'there is no model "{name}" in the repository', hint)
    elif version != -1 and version not in served_versions(models[name].config, models[name].folder.versions):
        served = ", ".join(map(str, served_versions(models[name].config, models[name].folder.versions)))
        message = f"{name} doesn't serve version {version}; it serves {served}"
        hint = "model_version: -1 takes the latest; left out it is 0"
        yield error("TF670", f"{_STEPS}[{number}].model_version", message, hint)


def _members(model: Model) -> list[str]:
    return [step.model_name for step in model.config.ensemble_scheduling.step]


def _in_order(models: Mapping[str, Model]) -> list[str]:
    """Order models so that each comes after those it is made of; circles come as they may."""
    done: dict[str, None] = {}
    for start in sorted(models):
        stack, entered = [start], set()
        while stack:
            name = stack[-1]
            waiting = [each for each in _members(models[name]) if each in models and each not in done]
            if name in entered or not waiting:
                done.setdefault(name)
                stack.pop()
            else:
                entered.add(name)
                stack += [each for each in waiting if each not in entered]
    return list(done)


def _circles(models: Mapping[str, Model]) -> dict[str, Found]:
    """Find the ensembles that contain themselves, and say how."""
    found: dict[str, Found] = {}
    for name, model in models.items():
        for number, member in enumerate(_members(model)):
            way = _way(models, member, name)
            if way:
                message = f"it contains itself: {' → '.join([name, *way])}"
                found[name] = error("TF676", f"{_STEPS}[{number}].model_name", message, _CRASH)
                break
    return found


def _way(models: Mapping[str, Model], start: str, end: str) -> list[str]:
    """Find the way from a model to another by way of steps."""
    ways = {start: [start]}
    queue = [start] if start in models else []
    while queue:
        name = queue.pop(0)
        if name == end:
            return ways[name]
        for member in _members(models[name]):
            if member in models and member not in ways:
                ways[member] = [*ways[name], member]
                queue.append(member)
    return []
