"""What to do where a converted estimator isn't what it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tritonforge.define.sklearn_text import is_translated, vectorizers
from tritonforge.define.sklearn_thresholds import has_scaled_trees
from tritonforge.dtypes import DTYPES
from tritonforge.ir import TensorSpec

__all__ = ["CLASS", "mend_of_answers", "mend_of_loading", "mend_of_rows"]

CLASS = "call the estimator in a @model class"
"""What serves every estimator."""


def mend_of_loading(words: str) -> str:
    """Say how a graph that can't be loaded is mended."""
    if "locale" in words:
        return f"fit the vectorizer with lowercase=False, on texts that a @model before it lower-cases; or {CLASS}"
    if "tokenexp" in words:
        known = r'r"(?u)\b\w+\b", say'
        return f"RE2 splits texts there: fit the vectorizer with a token_pattern that it knows, {known}; or {CLASS}"
    if "tensor(double)" in words:
        return f"declare Float32 inputs: its operators have no others; or {CLASS}"
    return CLASS


def mend_of_rows(inputs: Sequence[TensorSpec]) -> str:
    """Say how a graph is mended that answers fewer rows than it is asked: each column is to have a dimension."""
    flat = next((spec for spec in inputs if not spec.dims), None)
    if flat is None:
        return CLASS
    annotation = "String" if flat.datatype == "BYTES" else DTYPES[flat.datatype].annotation
    column = f'inputs={{"{flat.name}": {annotation}[np.ndarray, "batch 1"], …}}'
    return f"a column of a table is an input of one value a row: {column}; or {CLASS}"


def mend_of_answers(estimator: Any, inputs: Sequence[TensorSpec]) -> str:
    """Say how an estimator is served whose graph answers otherwise."""
    for vectorizer in vectorizers(estimator):
        if getattr(vectorizer, "stop_words", None) and vectorizer.analyzer == "word" and vectorizer.ngram_range[1] > 1:
            return (
                "its n-grams leave out stop words, those of the graph don't: fit the vectorizer without stop_words, "
                f"or with ngram_range=(1, 1); or {CLASS}"
            )
        if getattr(vectorizer, "sublinear_tf", False):
            words = "skl2onnx takes log(1 + tf) for sublinear_tf, not 1 + log(tf): fit it with sublinear_tf=False"
            return f"{words}; or {CLASS}"
        if vectorizer.analyzer == "char":
            return (
                "the vectorizer takes white space in a row for one space, the graph doesn't: make it one in a @model "
                rf'before it, with re.sub(r"\s\s+", " ", text); or {CLASS}'
            )
        if not is_translated(vectorizer):
            return (
                rf"RE2 splits texts there, to which \w and \b are ASCII: fit the vectorizer with the default "
                rf'token_pattern, or r"(?u)\b\w+\b"; or {CLASS}'
            )
    return _mend_of_numbers(estimator, inputs)


def _mend_of_numbers(estimator: Any, inputs: Sequence[TensorSpec]) -> str:
    if has_scaled_trees(estimator):
        why = "fit them without, and the graph compares the numbers themselves"
        return f"trees need no scaler before them: {why}; or {CLASS}"
    if any(spec.datatype == "FP32" for spec in inputs):
        return f"declare Float64 inputs, where it is rounding that differs; or {CLASS}"
    return CLASS
