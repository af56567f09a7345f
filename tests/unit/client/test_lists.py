"""Lists that are given for arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tritonforge.client.tensors.lists import has_masked, is_read_once, shape_of

MASKED = np.ma.array([1.0, 2.0], mask=[0, 1])
ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


def test_a_masked_array_is_found_however_deep_it_is():
    for value in ([MASKED], (MASKED, [1.0, 2.0]), [[1.0, 2.0], [1.0, np.ma.masked]], [[[MASKED]]]):
        assert has_masked(value)
    for value in ([], [[1.0]], [np.ones(2)], 3, "text", MASKED, ENDLESS):
        assert not has_masked(value)


def test_what_can_be_read_once_is_told_from_sequences():
    for value in ((one for one in [1]), map(int, "1"), iter([1]), {1: 2}.values()):
        assert is_read_once(value)
    for value in ([1], (1,), range(3), np.ones(2), "text", {1}, {1: 2}, 3):
        assert not is_read_once(value)


def test_the_shape_of_lists_is_that_of_their_array():
    for value in ([], [1], [[1, 2]], ([1], (2,)), [np.ones((2, 3))], [[], []], ["ab"], [np.float32(1)], 3):
        assert shape_of(value) == np.asarray(value).shape
    assert len(shape_of(ENDLESS)) > 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2], [3]], r"row 0 has \[2\], row 1 \[1\]"),
        ([[1], 2], r"row 0 has \[1\], row 1 \[\]"),
        ([[[1], [2]], [[3], [4, 5]]], r"row 0 has \[1\], row 1 \[2\]"),
        ([np.ones(2), np.ones(3)], r"row 0 has \[2\], row 1 \[3\]"),
    ],
)
def test_rows_that_differ_are_named(value, words):
    with pytest.raises(ValueError, match=f"the rows differ in shape: {words}"):
        shape_of(value)
