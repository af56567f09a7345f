"""Whole numbers at which trees behind a scaler divide: there float32 may take the other branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tritonforge.define.arrays import Array

__all__ = ["has_scaled_trees", "thresholds"]

_NEAR = 1e-6
"""How near to a whole number a threshold lies that is meant to be one, as a share of it."""


def has_scaled_trees(estimator: Any) -> bool:
    """Tell whether an estimator is a scaler and trees, which need none."""
    steps = list(getattr(estimator, "steps", []))
    scales = len(steps) == 2 and hasattr(steps[0][1], "scale_") and hasattr(steps[0][1], "inverse_transform")
    return scales and next(_trees(steps[-1][1]), None) is not None


def thresholds(estimator: Any) -> Iterator[tuple[int, float]]:
    """Give features and whole numbers that a tree divides at, of a scaler and trees."""
    if not has_scaled_trees(estimator):
        return
    (_, scaler), (_, trees) = estimator.steps
    for tree in _trees(trees):
        inner = tree.feature >= 0
        features = tree.feature[inner]
        scaled = np.zeros((len(features), scaler.n_features_in_))
        scaled[np.arange(len(features)), features] = tree.threshold[inner]
        numbers = scaler.inverse_transform(scaled)[np.arange(len(features)), features]
        for feature, number in zip(features.tolist(), numbers.tolist(), strict=True):
            if abs(number - round(number)) <= _NEAR * max(abs(number), 1.0):
                yield feature, float(round(number))


def _trees(estimator: Any) -> Iterator[Any]:
    """Give the trees of an estimator of scikit-learn's, alone or several."""
    if hasattr(tree := getattr(estimator, "tree_", None), "threshold"):
        yield tree
    members: Array = np.asarray(getattr(estimator, "estimators_", ()), object)
    for member in members.ravel().tolist():
        yield from _trees(member)
