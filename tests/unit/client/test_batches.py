"""Cutting along the batch, and joining again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.client.calls.batches import Reassembly, cut, merge_arrays
from tritonforge.client.result import Result


@given(st.lists(st.integers(1, 20), max_size=8), st.integers(0, 7), st.booleans(), st.randoms())
def test_what_is_cut_is_joined_again_whatever_comes_first(sizes, most, ordered, random):
    items = [{"x": np.arange(size) + 100 * number, "y": None} for number, size in enumerate(sizes)]
    pieces = [piece for number, item in enumerate(items) for piece in cut(number, item, most)]
    assert all(most == 0 or len(piece.inputs["x"]) == piece.rows <= most for piece in pieces)
    random.shuffle(pieces)
    assembly = Reassembly(ordered=ordered)
    found = [pair for piece in pieces for pair in assembly.add(piece, Result({"x": piece.inputs["x"]}))]
    if ordered:
        assert [number for number, _ in found] == list(range(len(items)))
    assert len(found) == len(items)
    for number, result in found:
        assert np.array_equal(result["x"], items[number]["x"])


def test_pieces_are_views():
    array = np.zeros((10, 3))
    assert all(np.shares_memory(piece.inputs["x"], array) for piece in cut(0, {"x": array}, 3))


def test_a_merged_result_has_what_else_the_first_one_has():
    merged = merge_arrays([Result({"y": np.ones(2)}, model="m", model_version="3", id=str(n)) for n in range(2)])
    assert (merged.model, merged.model_version, merged.id, merged.y.shape) == ("m", "3", "0", (4,))


def test_outputs_that_can_not_be_joined_are_named_with_the_items_and_shapes():
    results = [Result({"y": np.ones(2), "z": np.ones((2, width))}) for width in (3, 3, 4)]
    with pytest.raises(
        ValueError, match=r'^output "z" is \[2, 3\] of item 0, and \[2, 4\] of item 2: only what differs'
    ):
        merge_arrays(results)
    assembly = Reassembly(ordered=True)
    first, second = cut(0, {"x": np.ones(3)}, 2)
    assert not list(assembly.add(first, results[0]))
    with pytest.raises(ValueError, match=r"of item 0, part 1 of 2, and \[2, 4\] of item 0, part 2 of 2"):
        list(assembly.add(second, results[2]))
