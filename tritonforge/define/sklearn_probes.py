"""Rows on which an estimator and the graph that is made of it are held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.define.arrays import Array
from tritonforge.define.sklearn_text import first_step, vectorizers, words_of
from tritonforge.define.sklearn_thresholds import thresholds
from tritonforge.dtypes import DTYPES
from tritonforge.ir import TensorSpec

__all__ = ["Probe", "probes"]

_ROWS = 24
_WORDS = 12
_ANY_SIZE = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """Rows by input.

    A difference on `odd` ones, which has their kind, is told, and no mistake; on given ones no rounding excuses it;
    `guessed` ones may lie where the estimator was never meant to be.
    """

    inputs: Mapping[str, Array]
    odd: str = ""
    given: bool = False
    guessed: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def row(self, number: int) -> Probe:
        """Give one of its rows."""
        rows = {name: array[number : number + 1] for name, array in self.inputs.items()}
        return replace(self, inputs=rows)


def probes(estimator: Any, inputs: Sequence[TensorSpec], examples: Iterable[Mapping[str, Any]]) -> Iterator[Probe]:
    """Give the examples, and rows that look like what the estimator was fitted on.

    Texts are words of its vocabularies; numbers lie around the examples, or where its first step says that its features
    do; categories are those that its first step knows, and where examples are whole numbers, theirs.
    """
    given = [probe for example in examples if (probe := _given(example, inputs))]
    yield from given
    random = np.random.default_rng(0)
    if any(spec.datatype == "BYTES" for spec in inputs) and (found := list(vectorizers(estimator))):
        words = sorted({word for one in found for word in words_of(one)})
        stops = sorted({word for one in found for word in _stop_words(one)})
        for kind, texts in _texts(words, stops, random):
            drawn = {spec.name: _texts_of(spec, texts, random) for spec in inputs}
            yield Probe(drawn, odd="" if kind == "words" else kind)
        return
    first = first_step(estimator)
    drawn = {spec.name: _drawn(spec, first, [one.inputs[spec.name] for one in given], random) for spec in inputs}
    yield Probe(drawn, guessed=True)
    if len(inputs) == 1 and (rows := _at_thresholds(estimator, drawn[inputs[0].name], random)) is not None:
        yield Probe({inputs[0].name: rows}, odd="whole numbers that its trees divide at", given=True)


def _given(example: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> Probe | None:
    """Read an example; one that isn't as it should be is told elsewhere."""
    arrays = {}
    for spec in inputs:
        value = example.get(spec.name)
        dtype = np.dtype(object) if spec.datatype == "BYTES" else DTYPES[spec.datatype].numpy
        try:
            array = np.asarray(value, dtype)
        except (TypeError, ValueError):
            return None
        if value is None or array.ndim != 1 + len(spec.dims) or not len(array):
            return None
        arrays[spec.name] = _decoded(array) if spec.datatype == "BYTES" else array
    return Probe(arrays, given=True)


def _decoded(array: Array) -> Array:
    texts = [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in array.ravel()]
    return _strings(texts).reshape(array.shape)


def _strings(texts: Sequence[str]) -> Array:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def _texts(words: Sequence[str], stops: Sequence[str], random: np.random.Generator) -> Iterator[tuple[str, list[str]]]:
    """Give kinds of texts: of words, then what people write beside them."""
    if not words:
        return
    far = [word for word in words if not word.isascii()]
    near = [word for word in words if word.isascii()]
    chosen = [*_some(far, _WORDS // 2, random), *_some(near, _WORDS, random)]
    pairs = list(zip(chosen, [*chosen[1:], chosen[0]], strict=True))
    plain = [*chosen, *(" ".join(pair) for pair in pairs), " ".join(chosen[:4])]
    plain += [f"{one} {one} {other}" for one, other in pairs[:4]]
    between = _some(stops, _WORDS, random)
    plain += [f"{one} {between[at % len(between)]} {other}" for at, (one, other) in enumerate(pairs) if between]
    yield "words", plain
    some = pairs[:4]
    yield "upper case", [f"{one.upper()} {other.capitalize()}" for one, other in some]
    yield (
        "punctuation",
        [f"{one}, {other}!" for one, other in some] + [f"({one}) {other}-{one}." for one, other in some],
    )
    yield "an apostrophe", [f"{one} {other}'t {one}" for one, other in some]
    yield "single letters and digits", [f"{one} a {other} 7 {one}" for one, other in some]
    yield "accents", [f"{one} é {other}ü {one}" for one, other in some]
    yield "two spaces", [f"{one}  {other}" for one, other in some]
    yield "a line feed", [f"{one}\n{other}" for one, other in some]
    yield "no text", [""]


def _stop_words(vectorizer: Any) -> Iterable[str]:
    words = getattr(vectorizer, "get_stop_words", lambda: None)()
    return words or ()


def _some(words: Sequence[str], number: int, random: np.random.Generator) -> list[str]:
    picked = sorted(random.choice(len(words), min(number, len(words)), replace=False)) if words else []
    return [words[at] for at in picked]


def _texts_of(spec: TensorSpec, texts: Sequence[str], random: np.random.Generator) -> Array:
    sizes = _sizes(spec)
    if spec.datatype != "BYTES":
        return _cast(random.normal(size=(len(texts), *sizes)), spec)
    times = int(np.prod(sizes))
    return _strings([text for text in texts for _ in range(times)]).reshape(len(texts), *sizes)


def _drawn(spec: TensorSpec, first: Any, given: Sequence[Array], random: np.random.Generator) -> Array:
    sizes = _sizes(spec)
    known = getattr(first, "categories_", None)
    if isinstance(known, list) and sizes == (len(known),):
        columns = [[kinds[at] for at in random.integers(0, len(kinds), _ROWS)] for kinds in known]
        rows = np.array(list(zip(*columns, strict=True)), object)
        return _decoded(rows) if spec.datatype == "BYTES" else rows.astype(DTYPES[spec.datatype].numpy)
    if spec.datatype == "BYTES":
        return _strings(["a"] * (_ROWS * int(np.prod(sizes)))).reshape(_ROWS, *sizes)
    noise = random.normal(size=(_ROWS, *sizes))
    same = [array.astype(np.float64) for array in given if array.shape[1:] == sizes]
    if same and DTYPES[spec.datatype].numpy.kind == "f":
        rows = np.concatenate(same)
        whole = (rows == np.rint(rows)).all(axis=0)  # categories, or counts: nothing lies between them
        drawn = rows[random.integers(0, len(rows), _ROWS)] + 0.5 * noise * np.where(whole, 0.0, rows.std(axis=0))
    else:
        center, width = _fitted_on(first, sizes)
        drawn = center + width * noise
    for column, kinds in _categories(first, spec.name, sizes):
        drawn[:, column] = kinds[random.integers(0, len(kinds), _ROWS)]
    return _cast(drawn, spec)


def _categories(first: Any, name: str, sizes: tuple[int, ...]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Give the numbers that encoders of columns know, by the place of the column in an input."""
    if len(sizes) != 1:
        return
    names = [name] if sizes == (1,) else [str(one) for one in getattr(first, "feature_names_in_", ())]
    for _, transformer, columns in getattr(first, "transformers_", ()):
        known = getattr(first_step(transformer), "categories_", None)
        places = _places(columns, sizes[0], names)
        if not isinstance(known, list) or len(known) != len(places):
            continue
        for place, kinds in zip(places, known, strict=True):
            if place is not None and len(kinds) and np.asarray(kinds).dtype.kind in "biuf":
                yield place, np.asarray(kinds, np.float64)


def _places(columns: Any, size: int, names: Sequence[str]) -> list[int | None]:
    """Say where in an input the columns of a ColumnTransformer are that skl2onnx takes; None of one elsewhere."""
    if isinstance(columns, slice):
        return [] if isinstance(columns.start or columns.stop, str) else [*range(size)[columns]]
    given = columns if isinstance(columns, list) else [columns]
    places = [names.index(one) if isinstance(one, str) and one in names else one for one in given]
    return [one if type(one) is int and 0 <= one < size else None for one in places]


def _at_thresholds(estimator: Any, drawn: Array, random: np.random.Generator) -> Array | None:
    """Put whole numbers that trees divide at into rows, one each; None where there are none, or no scaler is before."""
    found = sorted(set(thresholds(estimator))) if drawn.dtype.kind == "f" and drawn.ndim == 2 else []
    if not found:
        return None
    rows: Array = drawn[random.integers(0, len(drawn), _ROWS)]
    for row, at in enumerate(random.integers(0, len(found), _ROWS)):
        feature, number = found[at]
        rows[row, feature] = number
    return rows


def _fitted_on(first: Any, sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """Say where the features lie that a scaler was fitted on, and how far they spread."""
    for center, width in (("mean_", "scale_"), ("center_", "scale_"), ("data_min_", "data_range_")):
        found = [np.asarray(getattr(first, name, None)) for name in (center, width)]
        if all(one.shape == sizes and one.dtype.kind == "f" for one in found):
            return found[0], found[1]
    return 0.0, 1.0


def _cast(rows: Array, spec: TensorSpec) -> Array:
    dtype = DTYPES[spec.datatype].numpy
    return (rows > 0) if dtype.kind == "b" else (rows if dtype.kind == "f" else np.rint(rows)).astype(dtype)


def _sizes(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(dim if isinstance(dim, int) else _ANY_SIZE for dim in spec.dims)
