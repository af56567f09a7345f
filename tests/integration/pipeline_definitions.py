"""Pipelines of every shape that the compiler lowers, for the tests that hold served answers against eager ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import BFloat16, Bool, Float32, Int64

from tritonforge import Batching, Bytes, Instances, String, Tensor, TritonError, model, pipeline, sklearn


@model
def double(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x * 2


@model(batching=Batching(max_batch_size=16))
def add(
    left: Float32[np.ndarray, "batch n"], right: Float32[np.ndarray, "batch n"] | None = None
) -> Float32[np.ndarray, "batch n"]:
    return left if right is None else left + right


@model
def total(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch"]:
    return x.sum(axis=1)


@model
def is_large(total: Float32[np.ndarray, "batch"]) -> Bool[np.ndarray, "batch"]:
    return total > 10


class FanOut(NamedTuple):
    x: Float32[np.ndarray, "batch n"]
    renamed: Float32[np.ndarray, "batch n"]
    twice: Float32[np.ndarray, "batch n"]
    again: Float32[np.ndarray, "batch n"]
    large: Bool[np.ndarray, "batch"]


@pipeline
def fan_out(x: Float32[np.ndarray, "batch n"]) -> FanOut:
    """Fan out, join, use a model twice, give an input and a result under two names, hand rank 1 on."""
    twice = double(x)
    return FanOut(x, x, twice, twice, is_large(total(add(twice, double(twice)))))


class Folded(NamedTuple):
    sums: Float32[np.ndarray, "batch"]
    cut: Float32[np.ndarray, "batch 3 2"]


class Beside(NamedTuple):
    untouched: Int64[np.ndarray, "batch 1"]
    doubled: Float32[np.ndarray, "batch n"]


@pipeline
def beside(x: Float32[np.ndarray, "batch n"], untouched: Int64[np.ndarray, "batch 1"]) -> Beside:
    """Give back an input that no model takes."""
    return Beside(untouched, double(x))


@pipeline
def maybe(
    x: Float32[np.ndarray, "batch n"], bonus: Float32[np.ndarray, "batch n"] | None = None
) -> Float32[np.ndarray, "batch n"]:
    """Hand an optional input on."""
    return add(double(x), bonus)


@pipeline
def nested(x: Float32[np.ndarray, "batch n"]) -> tuple[Float32[np.ndarray, "batch n"], Float32[np.ndarray, "batch n"]]:
    """Call another pipeline, with its optional input and without."""
    return maybe(double(x), x), maybe(x)


class Partly(NamedTuple):
    first: Float32[np.ndarray, "batch n"]
    second: Float32[np.ndarray, "batch n"]
    given: Float32[np.ndarray, "batch n"]


@pipeline
def partly(x: Float32[np.ndarray, "batch n"]) -> Partly:
    """Give what other steps need, and a part of what a pipeline inside gives."""
    first = double(x)
    return Partly(first, fan_out(first).twice, x)


@model
def shout(text: String[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return np.array([[item.upper() + "!" for item in row] for row in text], dtype=object)


@model
class Measure:
    """The length in bytes, and raw bytes back."""

    def __init__(self) -> None:
        self.unit = 1

    def __call__(self, raw: Bytes[np.ndarray, "batch 1"]) -> Int64[np.ndarray, "batch"]:
        return np.array([len(item) * self.unit for item in raw[:, 0]], dtype=np.int64)


@pipeline
def loudness(text: String[np.ndarray, "batch 1"]) -> Int64[np.ndarray, "batch"]:
    """Hand text on to a model that reads bytes."""
    return Measure(shout(text))


@model
def halve(x: BFloat16[np.ndarray, "batch 2"]) -> BFloat16[np.ndarray, "batch 2"]:
    return x / x.dtype.type(2)


@model
def norm(x: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n"]:
    """A model that isn't batched."""
    return np.sqrt((x * x).sum(axis=1))


@pipeline
def normed(x: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n"]:
    """A pipeline that isn't batched."""
    return norm(x)


@model
def fussy(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    if (x < 0).any():
        raise TritonError("below zero", code="INVALID_ARG")
    return x


@model
def drop(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Write into the input, and return it."""
    x -= 1
    return x


class Written(NamedTuple):
    first: Float32[np.ndarray, "batch n"]
    second: Float32[np.ndarray, "batch n"]
    third: Float32[np.ndarray, "batch n"]
    fourth: Float32[np.ndarray, "batch n"]


@pipeline
def dropped_twice(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return drop(drop(x))


@pipeline
def written(x: Float32[np.ndarray, "batch n"]) -> Written:
    """Hand values that a step writes into to others: before, after, by an inner pipeline, and as an output."""
    first = drop(x)
    second = add(first, drop(x))
    return Written(first, second, dropped_twice(second), double(x))


BUFFER = np.zeros(64, np.float32)


@model
def refill(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Fill a buffer that is there for all calls, and return it."""
    return np.add(x, 1, out=BUFFER[: x.size].reshape(x.shape))


@pipeline
def refilled(x: Float32[np.ndarray, "batch n"]) -> Written:
    """Hand the results of a step that has a buffer of its own to itself, and to one that writes into them."""
    first = refill(x)
    second = refill(first)
    return Written(first, second, drop(refill(second)), drop(x))


def load_scorer() -> object:
    """Fit a small classifier; scikit-learn is imported here only."""
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    return LogisticRegression().fit(rows, rows.sum(axis=1) > 0)


scorer = sklearn(load_scorer, batching=Batching(max_batch_size=8))


@pipeline
def scored(
    x: Float32[np.ndarray, "batch 3"],
) -> tuple[Int64[np.ndarray, "batch"], Float32[np.ndarray, "batch 2"]]:
    """Chain a function and an ONNX graph."""
    label, probability = scorer(double(x))
    return label, probability


@model
def offset(
    x: Float32[np.ndarray, "batch n"], y: Float32[np.ndarray, "batch n"] | None
) -> Float32[np.ndarray, "batch n"]:
    return x - 1 if y is None else x + y


@model
class Offset:
    def __call__(
        self, x: Float32[np.ndarray, "batch n"], y: Float32[np.ndarray, "batch n"] | None
    ) -> Float32[np.ndarray, "batch n"]:
        return offset(x) if y is None else offset(x, y)


@pipeline
def offset_twice(
    x: Float32[np.ndarray, "batch n"], y: Float32[np.ndarray, "batch n"] | None
) -> Float32[np.ndarray, "batch n"]:
    return Offset(offset(x, y))


@pipeline
def left_out(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Leave out the optional inputs of a function, a class and a pipeline, which have no default."""
    return offset_twice(offset_twice(x, y=offset(x)))


@model
def by_way_of_a_pipeline(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Call a pipeline in a model's own code."""
    return offset_twice(x)


FUSED = pipeline(lowering="fused")
fused_fan_out = FUSED(fan_out)
fused_beside = FUSED(beside)
fused_maybe = FUSED(maybe)
fused_partly = FUSED(partly)
fused_nested = FUSED(nested)
fused_loudness = FUSED(loudness)
fused_normed = FUSED(normed)
fused_written = FUSED(written)
fused_refilled = FUSED(refilled)
fused_scored = pipeline(lowering="fused", instances=Instances(cpu=2), batching=Batching(max_batch_size=32))(scored)

fused_left_out = FUSED(left_out)

BLS = pipeline(lowering="bls")
bls_left_out = BLS(left_out)
bls_fan_out = BLS(fan_out)
bls_beside = BLS(beside)
bls_maybe = BLS(maybe)
bls_partly = BLS(partly)
bls_nested = BLS(nested)
bls_loudness = BLS(loudness)
bls_normed = BLS(normed)
bls_written = BLS(written)
bls_refilled = BLS(refilled)
bls_scored = BLS(scored)


@model
def negated(x: Float32[np.ndarray, "batch 6"]) -> Float32[np.ndarray, "batch 6"]:
    return -x


@model(
    tensors={"x": Tensor(dims=(2, 3), reshape=(6,)), "cut": Tensor(dims=(3, 1, 2), reshape=(3, 2))},
    warmup={"x": np.ones((1, 6), np.float32)},
)
def folded(x: Float32[np.ndarray, "batch 6"]) -> Folded:
    """Is sent, and answers, in other shapes than these."""
    return Folded(x.sum(axis=1), x.reshape(-1, 3, 2))


def refolded(x: Float32[np.ndarray, "batch 6"]) -> Folded:
    return folded(negated(x))


fused_refolded = FUSED(refolded)
bls_refolded = BLS(refolded)


@pipeline(lowering="bls")
def folded_by_halves(x: Float32[np.ndarray, "batch 6"]) -> Float32[np.ndarray, "batch 3 2"]:
    """Branch on what a model says that clients see otherwise."""
    sums, cut = folded(x)
    return cut * 2 if (sums > 0).all() else folded(np.ascontiguousarray(x[:, ::-1]))[1]


AUTO = pipeline(lowering="auto")
auto_fan_out = AUTO(fan_out)
auto_maybe = AUTO(maybe)
auto_nested = AUTO(nested)
auto_loudness = AUTO(loudness)
auto_scored = AUTO(scored)
auto_left_out = AUTO(left_out)


@pipeline(lowering="bls")
def routed(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Branch and loop on what a model says, compute in the body, and call a model whose result is not used."""
    sums = total(x)
    double(x)
    while sums.max() < 100:
        x = double(x)
        sums = total(x)
    return add(x, x) if is_large(sums).all() else x - sums[:, np.newaxis]


@pipeline(lowering="bls")
def asked(
    x: Float32[np.ndarray, "batch n"], bonus: Float32[np.ndarray, "batch n"] | None = None
) -> Float32[np.ndarray, "batch n"]:
    """Do one thing where an optional input is there, and another where it isn't."""
    return double(x) if bonus is None else add(bonus, x)


@model(batching=Batching(max_batch_size=4))
def few(x: Float32[np.ndarray, "batch n"]) -> tuple[Float32[np.ndarray, "batch n"], String[np.ndarray, "batch"]]:
    """Take few rows at a time."""
    return x * 2, np.array([str(row[0]) for row in x], dtype=object)


@pipeline(lowering="bls", batching=Batching(max_batch_size=32))
def in_slices(x: Float32[np.ndarray, "batch n"]) -> tuple[Float32[np.ndarray, "batch n"], String[np.ndarray, "batch"]]:
    """Only chain, with more rows than the model takes."""
    doubled, names = few(x)
    return few(doubled)[0], names


@pipeline(lowering="bls", batching=Batching(max_batch_size=32))
def some_rows(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Call models with some of the rows, maybe none or more than they take."""
    keep = x[:, 0] > 0
    found = x.copy()
    found[keep] = double(few(x[keep])[0])
    return found + few(np.concatenate([x, x]))[0][: len(x)]


@pipeline(lowering="bls")
def written_into(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Compute in place with results, and with what calls were made with."""
    own = x.copy()
    twice = double(own)
    own *= 0
    more = double(twice)
    twice += 1
    twice[twice > 4] = 0
    np.multiply(more, 2, out=more)
    assert isinstance(twice, np.ndarray)
    last = add(more, twice)
    more[:] = 0
    return last


@pipeline(lowering="bls")
def told(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Count the characters of what a refusal says."""
    try:
        return fussy(x)
    except TritonError as error:
        return np.full_like(x, len(str(error)))


@pipeline(lowering="bls")
def mistaken(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Call a model with what it doesn't take."""
    return double(x.astype(np.float64)) if (x > 0).any() else double(x.tolist())  # type: ignore[arg-type]


@pipeline(lowering="bls")
def unbatched_within(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch"]:
    """Call a model that isn't batched, on some of the requests."""
    sums = total(x)
    return norm(x) if (sums > 3).any() else sums


@pipeline(lowering="bls")
def forgiving(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Do something else where a model refuses."""
    try:
        return fussy(x)
    except TritonError as error:
        return double(x) if error.code == "INVALID_ARG" else x


@pipeline
def over_others(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """An ensemble of pipelines that are lowered otherwise."""
    return add(forgiving(x), fused_maybe(x))


@pipeline(lowering="bls")
def refused(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Call a model that refuses."""
    return fussy(double(x))


@pipeline
def refused_within(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """An ensemble whose model refuses."""
    return fussy(double(x))


@pipeline(lowering="bls")
def refused_far_below(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    """Branch, and call an ensemble whose model refuses, by way of another body."""
    return refused_within(x) if x.shape[1] > 2 else refused(x)
