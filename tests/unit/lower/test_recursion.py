"""Models whose code calls a pipeline that calls them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline
from tritonforge.lower import gather

Rows = Float32[np.ndarray, "batch 2"]


@model
def there(x: Rows) -> Rows:
    return back(x)


@pipeline
def back(x: Rows) -> Rows:
    return there(x)


@pipeline(lowering="bls")
def around(x: Rows) -> Rows:
    return by_way(x) if x.sum() > 0 else x


@model
def by_way(x: Rows) -> Rows:
    return helped(x)


def helped(x: Rows) -> Rows:
    return around(x)


@model
def countdown(x: Rows) -> Rows:
    return countdown(x - 1) if x.max() > 0 else x


@pipeline
def counted(x: Rows) -> Rows:
    return countdown(x)


def test_a_cycle_of_models_and_pipelines_is_warned_of_once() -> None:
    """Each at the model whose code closes it; what a model's code alone does is its own affair."""
    found = gather((there, back, around, by_way, countdown, counted)).diagnostics
    assert [(one.code, one.severity, one.where.subject, one.message.partition(";")[0]) for one in found] == [
        ("TF220", "warning", "there", "a cycle: there → back → there"),
        ("TF220", "warning", "by_way", "a cycle: by_way → around → by_way"),
    ]


def test_what_ends_is_not_warned_of() -> None:
    """A recursion in Python is no cycle of calls."""
    assert gather((countdown, counted)).diagnostics == ()
