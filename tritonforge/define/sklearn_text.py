"""Vectorizers of texts inside an estimator, and how skl2onnx is to convert them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["conversion_options", "first_step", "is_translated", "is_vectorizer", "vectorizers", "words_of"]

TEXT = ("CountVectorizer", "HashingVectorizer")
"""What takes texts, with its subclasses."""

LOCALE = "C.UTF-8"
"""The locale of lower-casing: glibc's own, which an image has without any package of languages."""

_WORDS = re.compile(r"(?:\(\?u\))?(?:\\b)?(?P<first>(?:\\w)*)\\w(?:\+|\{(?P<least>\d+),\})(?:\\b)?")
_WORD = r"[\p{L}\p{N}_]"
r"""What `\w` is in Python, in RE2, with which ONNX Runtime splits texts; RE2's own `\w` is ASCII."""


def vectorizers(estimator: Any) -> Iterator[Any]:
    """Find the fitted vectorizers of texts, wherever they stand in an estimator."""
    waiting, seen = [estimator], {id(estimator)}
    for found in waiting:  # grows while it is walked
        if is_vectorizer(found):
            yield found
            continue
        inside = found if isinstance(found, list | tuple) else vars(found).values()
        for one in inside:
            wanted = isinstance(one, list | tuple) or (hasattr(one, "get_params") and hasattr(one, "__dict__"))
            if wanted and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)


def is_vectorizer(estimator: Any) -> bool:
    """Say whether an estimator itself takes texts."""
    return any(base.__name__ in TEXT for base in type(estimator).__mro__)


def first_step(estimator: Any) -> Any:
    """Give what an estimator begins with; itself where it is no pipeline."""
    while steps := getattr(estimator, "steps", None):
        estimator = steps[0][1]
    return estimator


def is_translated(vectorizer: Any) -> bool:
    """Say whether the words of a vectorizer are spelled anew for RE2, and not handed to it as they are."""
    pattern = getattr(vectorizer, "token_pattern", None)
    return vectorizer.analyzer == "word" and isinstance(pattern, str) and bool(_WORDS.fullmatch(pattern))


def conversion_options(vectorizer: Any) -> dict[str, Any]:
    r"""Give the options with which a converted vectorizer splits and lower-cases texts as it does itself.

    skl2onnx 1.20 takes `[a-zA-Z0-9_]+` for the default token pattern, which splits words at accents, and keeps single
    letters; it hands others to RE2 as they are, which refuses `(?u)`. `.` leaves out line feeds.
    """
    options: dict[str, Any] = {"locale": LOCALE} if getattr(vectorizer, "lowercase", False) else {}
    if vectorizer.analyzer == "char":
        return options | {"tokenexp": "(?s:.)"}
    pattern = getattr(vectorizer, "token_pattern", None)
    if vectorizer.analyzer != "word" or not isinstance(pattern, str):
        return options
    words = _WORDS.fullmatch(pattern)
    if words is None:
        return options | {"tokenexp": pattern.removeprefix("(?u)")}  # Python's default
    least = len(words["first"]) // 2 + int(words["least"] or 1)
    return options | {"tokenexp": f"{_WORD}{{{least},}}"}


def words_of(vectorizer: Any) -> list[str]:
    """Give what a vectorizer's vocabulary is made of, sorted: words, or pieces of them."""
    words: set[str] = set()
    for term in getattr(vectorizer, "vocabulary_", ()):
        whole = " ".join(term) if isinstance(term, tuple) else str(term)  # skl2onnx's own vectorizers have tuples
        words.update([whole.strip()] if vectorizer.analyzer != "word" else whole.split())
    return sorted(words - {""})
