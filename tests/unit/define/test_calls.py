"""The models that a body names, found without running it."""

from __future__ import annotations

import types

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline
from tritonforge.define.calls import named_models


@model
def double(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x * 2


@model
def halve(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x / 2


@model
def unused(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x


def helper(x):
    return halve(x)


steps = types.ModuleType("steps")
steps.halve = halve


@pipeline(lowering="bls")
def branching(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return double(x) if x.sum() > 0 else helper(x)


@pipeline(lowering="bls")
def through_a_module(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return steps.halve(x)


@pipeline(lowering="bls")
def nested(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    def inner(y):
        return next(branching(z) for z in (y,))

    return inner(x)


def captured():
    chosen = double

    @pipeline(lowering="bls")
    def body(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
        return chosen(x)

    return body


def test_those_of_both_branches_and_of_plain_functions_are_found() -> None:
    assert {found.name for found in branching.called()} == {"double", "halve"}


def test_those_of_modules_nested_code_and_closures_are_found() -> None:
    assert through_a_module.called() == (halve,)
    assert nested.called() == (branching,)
    assert captured().called() == (double,)


def test_those_of_a_classs_methods_are_found() -> None:
    class Both:
        def __init__(self) -> None:
            self.first = double

        def __call__(self, x):
            return helper(self.first(x))

    assert set(named_models(Both)) == {double, halve}


def test_the_body_that_branches_runs_here() -> None:
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(branching(x), x * 2)
    np.testing.assert_array_equal(branching(-x), -x / 2)
