"""How a result is shown."""

from __future__ import annotations

import base64
import io
import json

import ml_dtypes
import numpy as np
import pytest
from rich.console import Console

from tritonforge.cli.infer_output import to_json, to_table, to_text, write_npz
from tritonforge.client import Result


def result(**outputs):
    return Result(outputs, model="fraud", model_version="2")


def data(array):
    return json.loads(to_json(result(y=array)))["outputs"][0]


def test_json_has_model_version_and_outputs():
    label, probability = np.array([1, 0]), np.array([[0.1, 0.9]], np.float32)
    assert json.loads(to_json(result(label=label, probability=probability))) == {
        "model": "fraud",
        "version": "2",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]},
            {"name": "probability", "datatype": "FP32", "shape": [1, 2], "data": [[0.1, 0.9]]},
        ],
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_floats_are_the_shortest_decimals_that_give_them_back(dtype):
    array = np.array([0.1, 1, -2.5e-3, np.nan, np.inf, -np.inf]).astype(dtype)
    shown = data(array)["data"]
    assert shown[3:] == ["NaN", "Infinity", "-Infinity"]
    assert np.array([float(number) for number in shown]).astype(dtype).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array", [np.array([True, False]), np.array([2**64 - 1], np.uint64), np.zeros((0, 2), np.int8)]
)
def test_other_types_are_themselves(array):
    assert data(array)["data"] == array.tolist()


def test_bytes_are_text_or_all_in_base64():
    assert data(np.array([["ü".encode(), b""]], object))["data"] == [["ü", ""]]
    binary = data(np.array([b"a", b"\xff"], object))
    assert binary["encoding"] == "base64"
    assert [base64.b64decode(item) for item in binary["data"]] == [b"a", b"\xff"]


def test_text_for_a_pipe_is_plain():
    text = to_text(result(label=np.array([1, 0]), word=np.array([b"\xc3\xbc", b"\xff"], object)))
    assert text == "fraud version 2\nlabel: INT64[2]\n[1, 0]\nword: BYTES[2]\n['ü', '\\\\xff']"


def test_a_table_has_all_outputs_and_shortens_long_ones():
    console = Console(file=io.StringIO(), width=120)
    console.print(to_table(result(label=np.array([1, 0]), p=np.zeros(10_000, np.float32))))
    shown = console.file.getvalue()
    for part in ("fraud version 2", "label", "INT64", "[2]", "[1, 0]", "FP32", "[10000]", "..."):
        assert part in shown


def test_an_npz_file_holds_the_arrays(tmp_path):
    outputs = {
        "file": np.array([[1.5]], np.float32),
        "half": np.ones(2, ml_dtypes.bfloat16),
        "word": np.array([["ü".encode(), b""]], object),
        "none": np.empty((0, 2), object),
        "a/b": np.array([True]),
    }
    write_npz(Result(outputs), tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as archive:
        found = dict(archive)
    assert list(found) == list(outputs)
    assert found["file"].dtype == np.float32
    assert found["half"].dtype == np.float32
    assert found["word"].tolist() == [["ü".encode(), b""]]
    assert found["none"].shape == (0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_what_npz_cannot_hold_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match=r'"y" has a value that ends in a zero byte.*--format json'):
        write_npz(result(y=np.array([b"a\0"], object)), tmp_path / "out.npz")
    with pytest.raises(FileNotFoundError):
        write_npz(result(y=np.ones(1)), tmp_path / "no" / "out.npz")
    assert list(tmp_path.iterdir()) == []
