"""Stacking requests and splitting results."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tritonforge_runtime import batch


def test_one_request_is_passed_on_uncopied() -> None:
    array = np.zeros((3, 2), np.float32)

    assert batch.stack([(array, None)])[0] is array


def test_split_gives_views_in_order() -> None:
    array = np.arange(5)

    parts = batch.split(array, [2, 0, 3])

    assert [part.tolist() for part in parts] == [[0, 1], [], [2, 3, 4]]
    assert all(np.shares_memory(part, array) for part in parts if part.size)


def test_requests_of_other_shapes_or_other_inputs_are_kept_apart() -> None:
    short, long = np.zeros((1, 2)), np.zeros((4, 3))

    groups = batch.group([(0, (short, None)), (1, (long, None)), (2, (short, short)), (3, (short, None))])

    assert [[index for index, _ in each] for each in groups] == [[0, 3], [1], [2]]


def test_rows_are_those_of_the_first_input_that_is_there() -> None:
    assert batch.rows((None, np.zeros((4, 1)))) == 4
    assert batch.rows((None, None)) is None


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_what_is_stacked_splits_into_what_it_was(sizes: list[int]) -> None:
    arrays = [np.random.default_rng(size).normal(size=(size, 3)) for size in sizes]

    (stacked,) = batch.stack([(array,) for array in arrays])
    assert stacked is not None

    for part, array in zip(batch.split(stacked, sizes), arrays, strict=True):
        np.testing.assert_array_equal(part, array)
