"""Pipelines of every shape: fan-out, join, nested, passing inputs on, results under two names, fused."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from features import WeightedSum, classifier, clip, square
from jaxtyping import Bool, Float32, Int64

from tritonforge import model, pipeline

from .limits import LIMIT


@model
def above(total: Float32[np.ndarray, "batch"]) -> Bool[np.ndarray, "batch"]:
    """Use a constant of another module of the package."""
    return total > LIMIT


@model
def add(left: Float32[np.ndarray, "batch n"], right: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Have dimensions that each call binds."""
    return left + right


class Graded(NamedTuple):
    """Results of a model under two names, and an input under its own and under another name."""

    label: Int64[np.ndarray, "batch"]
    probability: Float32[np.ndarray, "batch 2"]
    same: Int64[np.ndarray, "batch"]
    x: Float32[np.ndarray, "batch 3"]
    given: Float32[np.ndarray, "batch 3"]


@pipeline
def graded(x: Float32[np.ndarray, "batch 3"]) -> Graded:
    """Fan out and join, and use one model twice."""
    clipped = clip(x)
    label, probability = classifier(add(clip(clipped), square(clipped)))
    return Graded(label, probability, label, x, x)


class Flagged(NamedTuple):
    """What a pipeline in a pipeline gives, and more."""

    label: Int64[np.ndarray, "batch"]
    flag: Bool[np.ndarray, "batch"]


@pipeline
def flagged(x: Float32[np.ndarray, "batch 3"], bias: Float32[np.ndarray, "batch"] | None = None) -> Flagged:
    """Call a pipeline, take some of its results, hand an optional input on, and pass one value a row along."""
    return Flagged(graded(x).label, above(WeightedSum(x, bias)))


fused = pipeline(name="flagged-fused", lowering="fused")(flagged)
