"""What an estimator itself answers, and how far off a graph's answers may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from tritonforge.define.arrays import Array
from tritonforge.define.sklearn_probes import Probe
from tritonforge.define.sklearn_text import first_step, is_vectorizer
from tritonforge.ir import TensorSpec

__all__ = ["Answer", "answers", "scores"]

_SCORES = {"predict_proba": "probability", "decision_function": "score", "transform": "distance"}
"""What an estimator gives beside its labels, by the first of these methods that it has: what skl2onnx's graph gives."""

_TOLERANCE = 1e-3
"""What float32 may change in a value, as a share of it and of the largest one; and what a label's lead must exceed."""

_ROUNDING = 3e-6
"""How far float32 moves a number, as a share of it, in a few steps."""

_LARGEST = 1e30


@dataclass(frozen=True, slots=True)
class Answer:
    """An estimator's answers: `rows` of labels, or of numbers, each of which may be off by `allowed`.

    Of `unsure` rows the estimator itself would give another label if its input were rounded otherwise.
    """

    rows: Array
    allowed: Array | None = None
    unsure: Array | None = None

    @property
    def finite(self) -> bool:
        """Whether the estimator has an answer for every row."""
        return self.rows.dtype.kind != "f" or bool(np.isfinite(self.rows).all())

    def first_difference(self, found: Array) -> int | None:
        """Name the first row on which a graph answers otherwise."""
        if found.size != self.rows.size:
            return None  # laid out in another way: nothing can be said
        found = found.reshape(self.rows.shape)
        if self.allowed is None:
            wrong = np.array(
                [_label(one) != _label(other) for one, other in zip(found.flat, self.rows.flat, strict=True)]
            )
        else:
            found, expected = found.astype(np.float64), self.rows.astype(np.float64)
            comparable = np.isfinite(expected) & (np.abs(expected) < _LARGEST)
            wrong = comparable & ~(np.abs(found - expected) <= self.allowed)
        rows = wrong.reshape(len(self.rows), -1).any(axis=1)
        rows &= True if self.unsure is None else ~self.unsure
        return int(np.argmax(rows)) if rows.any() else None


def answers(estimator: Any, inputs: Sequence[TensorSpec], probe: Probe, outputs: int) -> list[Answer | None]:
    """Give what an estimator answers, an entry an output, None where that isn't known; nothing where it refuses."""
    try:
        rows = _as_taken(estimator, inputs, probe)
        functions = _functions(estimator, outputs)
        moved = [] if probe.given else _moved(rows)
        return [
            None if function is None else _answer(estimator, function, rows, moved, label=label)
            for function, label in functions
        ]
    except Exception:  # whatever an estimator of others raises on rows that were guessed
        return []


def _functions(estimator: Any, outputs: int) -> list[tuple[Callable[[Any], Any] | None, bool]]:
    predict = getattr(estimator, "predict", None)
    if outputs == 1:
        return [(predict or estimator.transform, False)]
    return [(predict, True), (scores(estimator)[1], False)]


def scores(estimator: Any) -> tuple[str, Callable[[Any], Any] | None]:
    """Name what an estimator gives beside its labels, and the method that gives it; neither where it has none."""
    return next(
        ((name, found) for method, name in _SCORES.items() if (found := getattr(estimator, method, None))), ("", None)
    )


def _answer(estimator: Any, function: Callable[[Any], Any], rows: Any, moved: Sequence[Any], *, label: bool) -> Answer:
    count = len(rows)
    expected = _dense(function(rows), count)
    others = [_dense(function(one), count) for one in moved]
    if label or expected.dtype.kind not in "iuf":
        unsure = _close(estimator, rows, count)
        for other in others:
            unsure |= (other != expected).any(axis=1)
        return Answer(expected, unsure=unsure)
    expected = expected.astype(np.float64)
    finite = np.abs(expected[np.isfinite(expected)])
    largest = finite[finite < _LARGEST].max(initial=0.0)
    allowed = _TOLERANCE * np.fmax(np.abs(expected), largest)
    for other in others:
        allowed = np.fmax(allowed, 4 * np.abs(other - expected) + _TOLERANCE * largest)
    return Answer(expected, allowed=allowed)


def _close(estimator: Any, rows: Any, count: int) -> Array:
    """Say of which rows the leading label has next to no lead."""
    scores = next(
        (found for name in ("predict_proba", "decision_function") if (found := getattr(estimator, name, None))), None
    )
    if scores is None:
        return np.zeros(count, bool)
    values = _dense(scores(rows), count).astype(np.float64)
    if values.shape[1] == 1:
        return np.asarray(np.abs(values[:, 0]) < _TOLERANCE)
    leading = np.sort(values, axis=1)[:, -2:]
    return np.asarray(leading[:, 1] - leading[:, 0] < _TOLERANCE)


def _dense(found: Any, count: int) -> Array:
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found).reshape(count, -1)


def _moved(rows: Any) -> list[Any]:
    """Move numbers as rounding does, up, down, and some of each."""
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f":
        return []
    random = np.random.default_rng(1)
    signs: list[Any] = [1.0, -1.0, *(random.choice([-1.0, 1.0], rows.shape) for _ in range(4))]
    return [rows * (1 + _ROUNDING * sign) for sign in signs]


def _as_taken(estimator: Any, inputs: Sequence[TensorSpec], probe: Probe) -> Any:
    """Give rows as the estimator takes them: texts in a row, columns by name, or one matrix, in float64."""
    arrays = [probe.inputs[spec.name] for spec in inputs]
    if len(arrays) == 1 and is_vectorizer(first_step(estimator)):
        return arrays[0].reshape(len(probe))
    columns = [array.reshape(len(probe), -1) for array in arrays]
    columns = [column.astype(np.float64) if column.dtype.kind == "f" else column for column in columns]
    named = getattr(estimator, "feature_names_in_", None)
    if named is None or len(arrays) == 1:
        return (
            np.hstack(columns)
            if len({column.dtype.kind for column in columns}) == 1
            else np.hstack([column.astype(object) for column in columns])
        )
    pandas = import_module("pandas")
    return pandas.DataFrame({spec.name: column[:, 0] for spec, column in zip(inputs, columns, strict=True)})


def _label(value: Any) -> str:
    """Spell a label alike, as whatever type a graph gives it: a truth as a number, a number as float."""
    return str(float(value)) if isinstance(value, bool | int | float | np.number | np.bool_) else str(value)
