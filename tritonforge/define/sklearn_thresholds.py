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
    """Tell whether an estimator is trees, with a scaler before them: they need none."""
    steps = list(getattr(estimator, "steps", []))
    return len(steps) > 1 and next(_trees(steps[-1][1]), None) is not None


def thresholds(estimator: Any, center: Any, width: Any) -> Iterator[tuple[int, float]]:
    """Give features and whole numbers that a tree divides at, of trees behind a scaler of that `center` and `width`."""
    steps = list(getattr(estimator, "steps", []))
    if len(steps) != 2:  # what lies between them would be to be undone
        return
    centers, widths = np.atleast_1d(center), np.atleast_1d(width)
    for tree in _trees(steps[-1][1]):
        for feature, threshold in zip(tree.feature.tolist(), tree.threshold.tolist(), strict=True):
            if 0 <= feature < len(centers):
                number = threshold * widths[feature] + centers[feature]
                if abs(number - np.rint(number)) <= _NEAR * max(abs(number), 1.0):
                    yield feature, float(np.rint(number))


def _trees(estimator: Any) -> Iterator[Any]:
    """Give the trees of an estimator of scikit-learn's, alone or several."""
    if hasattr(tree := getattr(estimator, "tree_", None), "threshold"):
        yield tree
    members: Array = np.asarray(getattr(estimator, "estimators_", ()), object)
    for member in members.ravel().tolist():
        yield from _trees(member)
