"""Input made from signatures and read from files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tritonforge.load import Data, InvalidLoad, ModelLoad
from tritonforge.load.data import make_samples
from tritonforge.load.signature import Input, ServedModel

SERVED = ServedModel("m", (Input("x", "FP32", (2,)), Input("ids", "INT64", (-1,))), 8, decoupled=False, steps=())
ONE = ServedModel("m", (Input("x", "FP32", (2,)),), 8, decoupled=False, steps=())


def load(data: Data, batch: int = 1) -> ModelLoad:
    return ModelLoad("m", batch_size=batch, data=data)


def test_random_input_has_the_signatures_types_and_is_the_seeds() -> None:
    data = Data(shapes={"seq": (5,)}, payloads=3)
    samples = make_samples(SERVED, load(data, 4), seed=1)
    again = make_samples(SERVED, load(data, 4), seed=1)
    other = make_samples(SERVED, load(data, 4), seed=2)
    assert len(samples) == 3
    assert samples[0].inputs["ids"][1].shape == (4, 5)
    assert samples[0].inputs["x"][1].dtype == np.float32
    assert np.array_equal(samples[2].inputs["x"][1], again[2].inputs["x"][1])
    assert not np.array_equal(samples[2].inputs["x"][1], other[2].inputs["x"][1])


def test_dimensions_are_sized_by_their_names() -> None:
    served = ServedModel("m", (Input("a", "FP32", (-1, 3, -1)), Input("b", "BYTES", (-1,))), 0, False, ())
    data = Data("zeros", shapes={"h": (2,), "w": (4,)}, dimensions={"a": ("h", "", "w"), "b": ("w",)})
    (sample,) = make_samples(served, load(data), seed=0)
    assert sample.inputs["a"][1].shape == (2, 3, 4)
    assert sample.inputs["b"][1].tolist() == [b""] * 4


def test_a_variable_dimension_without_a_size_is_refused() -> None:
    with pytest.raises(InvalidLoad, match=r'input "ids" has the shape \[-1\].*seq=128'):
        make_samples(SERVED, load(Data()), seed=0)


def test_a_batch_beyond_the_models_is_refused() -> None:
    with pytest.raises(InvalidLoad, match="batch size 9; it takes at most 8"):
        make_samples(ONE, load(Data(), 9), seed=0)


def test_rows_of_npz_are_batched_in_turn_with_their_answers(tmp_path: Path) -> None:
    x = np.arange(10, dtype=np.float64).reshape(5, 2)
    np.savez(tmp_path / "rows.npz", x=x, y=x[:, 0])
    samples = make_samples(ONE, load(Data(str(tmp_path / "rows.npz"), check=True), 2), seed=0)
    assert [sample.inputs["x"][1].tolist() for sample in samples] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7]],
        [[8, 9], [0, 1]],
    ]
    assert [sample.expected["y"].tolist() for sample in samples if sample.expected] == [[0, 2], [4, 6], [8, 0]]


def test_json_lines_and_parquet_and_perf_analyzers_json(tmp_path: Path) -> None:
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"x": [1, 2]}\n\n{"x": [3, 4]}\n')
    steps = {
        "data": [{"x": [1, 2]}, {"x": {"content": [3, 4], "shape": [2]}}],
        "validation_data": [{"y": [1]}, {"y": {"content": [2]}}],
    }
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    import pyarrow as pa
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"x": [[1.0, 2.0], [3.0, 4.0]]}), tmp_path / "rows.parquet")
    for name in ("rows.jsonl", "steps.json", "rows.parquet"):
        samples = make_samples(ONE, load(Data(str(tmp_path / name))), seed=0)
        assert [sample.inputs["x"][1].tolist() for sample in samples] == [[[1, 2]], [[3, 4]]], name
    checked = make_samples(ONE, load(Data(str(tmp_path / "steps.json"), check=True)), seed=0)
    assert [sample.expected["y"].tolist() for sample in checked if sample.expected] == [[[1]], [[2]]]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"z": 1}', 'no "x"'),
        ("a.jsonl", '{"x": [1, 2, 3]}', r"has the shape \[1, 3\]; the model takes \[1, 2\]"),
        ("a.jsonl", "", "no rows"),
        ("a.json", "{}", "data"),
        ("a.csv", "", "random, zeros, or a file"),
    ],
)
def test_unfit_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidLoad, match=words):
        make_samples(ONE, load(Data(str(tmp_path / name))), seed=0)
