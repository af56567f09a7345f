"""Rows that are answered otherwise beside others: what the build of golden samples says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tritonforge.build import build
from tritonforge.build.mixed_rows import find_mixed

HEAD = """import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, RequestParameters, String, model, pipeline

Rows = Float32[np.ndarray, "batch 2"]
Words = String[np.ndarray, "batch"]
ROWS = np.array([[1, 2], [3, 6], [8, 9]], np.float32)
"""
CENTRED = """
@model({})
def centred(x: Rows) -> Rows:
    return x - x.mean(axis=0)
"""
MIXED = "its answer hangs on which requests Triton puts together: "


def warned(folder: Path, text: str, golden: int = 0) -> list[tuple[str, str, str]]:
    (folder / "models.py").write_text(HEAD + text)
    report = build([folder / "models.py"], folder / "repository", golden=golden)
    return [(one.where.subject, one.code, one.message) for one in report.warnings]


def test_a_mean_over_the_batch_is_told(tmp_path: Path) -> None:
    told = f'{MIXED}row 0 of "output" is [0. 0.] by itself, [-3.        -3.6666665] beside other rows'
    assert warned(tmp_path, CENTRED.format('examples={"x": ROWS}')) == [("centred", "TF415", told)]


def test_requests_of_one_row_are_put_together(tmp_path: Path) -> None:
    told = f'{MIXED}row 0 of "output" is [0. 0.] by itself, [-1. -2.] beside other rows'
    found = warned(tmp_path, CENTRED.format('examples=[{"x": ROWS[:1]}, {"x": ROWS[1:2]}]'))
    assert found == [("centred", "TF415", told)]


def test_a_shape_that_hangs_on_the_rows_beside_is_told(tmp_path: Path) -> None:
    text = """
@model(examples={"text": np.array(["a b c", "d"], object)})
def split(text: Words) -> String[np.ndarray, "batch token"]:
    found = [one.split() for one in text]
    return np.array([one + [""] * (max(map(len, found)) - len(one)) for one in found], object)
"""
    told = f'{MIXED}row 1 of "output" has the shape [1] by itself, [3] beside other rows'
    assert warned(tmp_path, text) == [("split", "TF415", told)]


def test_a_pipeline_is_held_to_it_too(tmp_path: Path) -> None:
    around = "\n@pipeline\ndef around(x: Rows) -> Rows:\n    return centred(x)\n"
    assert {(name, code) for name, code, _ in warned(tmp_path, CENTRED.format("") + around, golden=2)} == {
        ("centred", "TF415"),
        ("around", "TF415"),
    }


@pytest.mark.parametrize("setting", ["batching=Batching(dynamic=False)", "batching=Batching(max_batch_size=1)"])
def test_rows_that_triton_leaves_alone_may_hang_together(tmp_path: Path, setting: str) -> None:
    assert warned(tmp_path, CENTRED.format(f'{setting}, examples=[{{"x": ROWS[:1]}}, {{"x": ROWS[1:2]}}]')) == []


def test_rows_by_themselves_have_no_warning(tmp_path: Path) -> None:
    text = """
@model(examples={"x": ROWS, "w": np.array(["a", "b", "c"], object), "options": {"by": 2}})
def scaled(x: Rows, w: Words, options: RequestParameters) -> tuple[Rows, Words]:
    return x / x.sum(axis=1, keepdims=True) * options["by"], w
"""
    assert warned(tmp_path, text) == []


def test_requests_that_do_not_go_together_are_left_alone() -> None:
    def never(request: object) -> dict[str, NDArray[Any]]:
        raise AssertionError("it ran")

    apart = [{"x": np.zeros((1, 2))}, {"x": np.zeros((1, 3))}]
    assert find_mixed(apart, never, whole="") == ""
    assert find_mixed(apart[:1], never, whole="") == ""
