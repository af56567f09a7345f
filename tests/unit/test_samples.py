"""Golden samples in files, and answers held against them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.dtypes import DTYPES
from tritonforge.samples import Golden, differing, draw, matches, read_golden, write_golden


@pytest.mark.parametrize("datatype", DTYPES)
def test_samples_of_every_type_are_read_as_they_were_written(datatype: str) -> None:
    array = draw(datatype, (2, 3), np.random.default_rng(0))
    content = write_golden([Golden({"x": array}, {"a/b": array})] * 12)
    samples = read_golden(content)
    assert len(samples) == 12
    for sample in samples:
        for found in (sample.inputs["x"], sample.outputs["a/b"]):
            assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
    assert write_golden(samples) == content


def test_strings_that_the_file_cannot_keep_are_refused() -> None:
    with pytest.raises(ValueError, match='"x" has a string that ends in NUL'):
        write_golden([Golden({"x": np.array([b"a\0"], object)}, {})])


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not a file of golden samples"):
        read_golden(b"nothing")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(0, 0.1), st.floats(0, 0.2))
def test_floats_match_within_the_tolerance_as_numpy_has_it(values: list[float], tolerance: float, off: float) -> None:
    expected = np.array(values)
    found = expected + off
    assert matches(found, expected, tolerance) == all(
        abs(f - e) <= tolerance * (1 + abs(e)) for f, e in zip(found, expected, strict=True)
    )


def test_a_difference_names_the_output() -> None:
    expected = {"y": np.array([1, 2]), "label": np.array(["a"], object)}
    assert differing({"y": np.array([[1], [2]]), "label": np.array([b"a"], object)}, expected, 0.0) == ""
    assert differing({"y": np.array([1, 3])}, expected, 1.0) == 'output "y" is [1 3], expected [1 2]'
    assert differing({"y": np.array([1, 2])}, expected, 1.0) == 'no output "label"'
    assert not matches(np.array([1]), np.array([1, 1]), 1.0)
