"""What a faulty build can still look into."""

from __future__ import annotations

import re
from collections.abc import Collection

from tritonforge.errors import Diagnostic
from tritonforge.ir import Model, Repository
from tritonforge.lower import Gathered

__all__ = ["model_of", "sound"]


def sound(repository: Repository, gathered: Gathered, errors: Collection[Diagnostic]) -> Repository:
    """Leave out the models that errors are told of, those that weren't lowered, and all that are made of either."""
    parts = {one.name: {part.name for part in gathered.parts(one)} for one in gathered.definitions}
    places = {(one.where.file, one.where.line) for one in errors}
    subjects = {model_of(one) for one in errors}
    models = {
        model.config.name: model
        for model in repository.models
        if model.config.name not in subjects and (model.where.file, model.where.line) not in places
    }
    while lacking := [name for name, model in models.items() if not _made_of(model, parts) <= models.keys()]:
        for name in lacking:
            del models[name]
    return Repository(tuple(models.values()))


def model_of(diagnostic: Diagnostic) -> str:
    """Give the name of the model that a diagnostic speaks of first: `fraud` of `fraud → scale, input "x"`."""
    return re.split(" → |, ", diagnostic.where.subject)[0]


def _made_of(model: Model, parts: dict[str, set[str]]) -> set[str]:
    steps = model.config.ensemble.steps if model.config.ensemble is not None else ()
    return parts.get(model.config.name, set()) | {step.model_name for step in steps}
