"""Outputs of calls that are under way: handed on without waiting, and otherwise like the array."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from tritonforge_runtime import pending as outputs

Pair = namedtuple("Pair", "first second")
X = np.array([[1.0, 2.0], [3.0, 4.0]])


def pending(array: np.ndarray[Any, Any]) -> Any:
    """Make an output of a call that has ended."""
    call: Future[Any] = Future()
    call.set_result({"output": array})
    return outputs.Pending(call, "output")


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x + 1,
        lambda x: 2 - x,
        lambda x: x @ x,
        lambda x: -x,
        lambda x: x > 2,
        lambda x: x[0],
        lambda x: x[:, 1],
        lambda x: x.sum(axis=1),
        lambda x: x.T,
        np.exp,
        lambda x: np.where(x > 1, x, 0),
        lambda x: np.concatenate([x, x]),
        lambda x: np.asarray(x, dtype=np.float32),
        np.add.reduce,
        len,
        list,
        lambda x: 3.0 in x,
        lambda x: X[np.array([1, 0])] + x,
    ],
)
def test_is_used_like_the_array(use: Callable[[Any], Any]) -> None:
    np.testing.assert_array_equal(np.asarray(use(pending(X))), np.asarray(use(X)))


@pytest.mark.parametrize("convert", [bool, int, float, range])
def test_one_value_is_used_like_a_number(convert: Callable[[Any], Any]) -> None:
    assert convert(pending(np.array(3))) == convert(3)


def test_a_truth_value_of_many_is_refused_as_numpy_does() -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        bool(pending(X))


def test_results_keep_their_form() -> None:
    one, other = pending(X), pending(X + 1)
    resolved = outputs.resolve(Pair(one, other))
    assert isinstance(resolved, Pair)
    np.testing.assert_array_equal(resolved.second, X + 1)
    assert type(outputs.resolve(one)) is np.ndarray
    assert type(outputs.resolve((one, X))) is tuple
    assert outputs.resolve({"a": one})["a"] is X
    assert outputs.resolve(X) is X


def test_a_failed_call_fails_what_waits_for_it() -> None:
    call: Future[Any] = Future()
    call.set_exception(RuntimeError("fussy: below zero"))
    with pytest.raises(RuntimeError, match="fussy: below zero"):
        outputs.Pending(call, "output") + 1
