"""Input made from signatures and read from files."""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tritonforge.load import Data, InvalidLoad, ModelLoad
from tritonforge.load.input.data import as_loaded, check_shapes, check_strings, guessed_sizes, make_samples
from tritonforge.load.input.files import sequence_lengths
from tritonforge.load.input.signature import ServedModel, Tensor, read_model
from tritonforge.samples import TOLERANCE, differing

SERVED = ServedModel("m", (Tensor("x", "FP32", (2,)), Tensor("ids", "INT64", (-1,))), 8, decoupled=False, steps=())
ONE = ServedModel("m", (Tensor("x", "FP32", (2,)),), 8, decoupled=False, steps=())


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


@pytest.mark.parametrize(
    ("served", "data", "words"),
    [
        (ONE, Data(payloads=10**9), r"m: payloads is 1000000000: they take 1,008\.0 GB .*; it is at most 3968253 of"),
        (
            replace(ONE, inputs=(Tensor("t", "BYTES", (-1,)),)),
            Data(shapes={"t": (10**8,)}),
            "has 8.0 GB; it may have 4 GB",
        ),
        (SERVED, Data("zeros", shapes={"ids": (10**12,)}), "m: a request has 8,000.0 GB; it may have 4 GB"),
    ],
    ids=["many", "texts", "zeros"],
)
def test_more_input_than_memory_is_refused(served: ServedModel, data: Data, words: str) -> None:
    with pytest.raises(InvalidLoad, match=words):
        make_samples(served, load(data), seed=0)


def test_dimensions_are_sized_by_their_names() -> None:
    served = ServedModel("m", (Tensor("a", "FP32", (-1, 3, -1)), Tensor("b", "BYTES", (-1,))), 0, False, ())
    data = Data("zeros", shapes={"h": (2,), "w": (4,)}, dimensions={"a": ("h", "", "w"), "b": ("w",)})
    (sample,) = make_samples(served, load(data), seed=0)
    assert sample.inputs["a"][1].shape == (2, 3, 4)
    assert sample.inputs["b"][1].tolist() == [b""] * 4


def test_a_variable_dimension_without_a_size_is_refused() -> None:
    with pytest.raises(InvalidLoad, match=r'input "ids" has the shape \[-1\].* sizes in shapes: ids=128$'):
        make_samples(SERVED, load(Data()), seed=0)


def test_all_inputs_that_lack_a_size_are_named_at_once() -> None:
    served = replace(
        SERVED, inputs=(Tensor("a", "FP32", (-1,)), Tensor("b", "FP32", (2,)), Tensor("c", "FP32", (-1, 4)))
    )
    words = r'2 inputs .*: "a" \[-1\]: seq=128, or a=128; "c" \[-1, 4\]: c=128,4$'
    with pytest.raises(InvalidLoad, match=words):
        make_samples(served, load(Data(dimensions={"a": ("seq",)})), seed=0)
    with pytest.raises(InvalidLoad, match=r'input "c" .* sizes in shapes: c=128,4$'):
        make_samples(served, load(Data(shapes={"a": (3,)})), seed=0)


def test_sizes_of_dimensions_whose_names_are_not_known_are_told_as_such() -> None:
    with pytest.raises(InvalidLoad, match=r"ids=128; its dimensions have no names here: not seq, k$"):
        make_samples(SERVED, load(Data(shapes={"seq": (7,), "k": (3,)})), seed=0)


def test_a_batch_beyond_the_models_is_refused() -> None:
    with pytest.raises(InvalidLoad, match="batch size 9; it takes 1 to 8"):
        make_samples(ONE, load(Data(), 9), seed=0)


def test_a_batch_in_a_sequence_is_refused() -> None:
    """Triton takes one row in each of its requests, whatever the model's greatest batch is."""
    sequences = replace(ONE, sequences=True)
    assert len(make_samples(sequences, load(Data()), seed=0)) == 16
    with pytest.raises(InvalidLoad, match="m: batch size 2; a request of a sequence has a batch of 1"):
        make_samples(sequences, load(Data(), 2), seed=0)


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
        ("a.jsonl", '{"x": [1, 2, 3]}', r'row 1: "x" has the shape \[3\]; the model takes \[2\]'),
        ("a.jsonl", '{"x": [1, 2]}\n{"y": [1]}', 'row 2: it has no "x"; it has y'),
        ("a.jsonl", '{"x": [1, 2]}\n{"x": [1]}', r'row 2: "x" has the shape \[1\]'),
        ("a.jsonl", "", "no rows"),
        ("a.jsonl", '{"x": [1, 2]}\n{"x" [1, 2]}', "line 2 is no JSON"),
        ("a.json", '{"inputs": []}', 'it has no list "data"'),
        ("a.json", "{}", "data"),
        ("a.csv", "", "random, zeros, golden, or a file"),
        ("a.jsonl", '{"x": [1, 2]}\n{"x": ["a", "b"]}', "row 2: \"x\" is no FP32: 'a' is no number"),
        ("a.jsonl", '{"x": [1, null]}', 'row 1: "x" is no FP32: null is no number'),
        ("a.json", '{"data": [{"x": [1, 2]}, {"x": [1, 1e39]}]}', r'row 2: "x" is no FP32: 1e\+39'),
        ("a.json", '{"data": [{"x": {"content": [1.5, true]}}]}', 'row 1: "x" is no FP32: True is no number'),
        ("a.jsonl", '{"x": [1, 2]}\n{"x": [1, -1e400]}', r'row 2: "x" is no FP32: -1E\+400 is too large'),
        ("a.jsonl", '{"x": [1, 1e99999999999999999999]}', "line 1 is no JSON: 1e99999999999999999999 is too large"),
        ("a.json", '{"data": [{"x": [1, 1e400]}]}', r'row 1: "x" is no FP32: 1E\+400 is too large'),
        ("a.json", '{"data": [1e400]}', r'step 1 of "data" is no object of tensors: "1E\+400"'),
        ("a.json", '{"data": [{"x": {"b64": 1e400}}]}', r'row 1: "x": "1E\+400" is no base64'),
        ("a.json", "{", "it is no JSON"),
        ("a.json", '{"data": 5}', '"data" is no list of steps'),
        ("a.json", '{"data": [{"x": [1, 2]}, 5]}', 'step 2 of "data" is no object of tensors: 5'),
        ("a.json", '{"data": [{"x": {"shape": [2]}}]}', "found shape"),
        ("a.json", '{"data": [{"x": {"b64": "AAA="}}]}', '"x" has 2 bytes, no FP32'),
        ("a.json", '{"data": [{"x": [1, 2]}, {"x": {"b64": "!"}}]}', r'a\.json: row 2: "x": "!" is no base64: '),
        ("a.json", '{"data": [{"x": {"b64": 5}}]}', 'row 1: "x": 5 is no base64: '),
        ("a.json", '{"data": [{"x": {"content": [1], "shape": [2]}}]}', r"1 value can't have the shape \[2\]"),
        ("a.json", '{"data": [{"x": {"content": [1, 2], "shape": 2}}]}', 'row 1: "x": the shape 2 is no list of sizes'),
        ("a.json", '{"data": [{"x": {"content": [1, 2], "shape": [-1]}}]}', r"the shape \[-1\] is no list of sizes"),
        (
            "a.json",
            '{"data": [{"x": {"content": {"b64": "AAAAAAAAAAA="}, "shape": [3]}}]}',
            "2 values can't have the shape",
        ),
        ("a.json", '{"data": [{"x": {"content": {"words": "AAAA"}}}]}', '"content" or "b64"; found words'),
        ("a.json", '{"data": [{"x": [1, 2], "x": [3, 4]}]}', '"x" is in an object twice'),
        ("a.jsonl", '{"x": [1, 2], "x": [3, 4]}', 'line 1 is no JSON: "x" is in an object twice'),
        ("a.json", '{"data": [[{"x": [1, 2]}], []]}', 'sequence 2 of "data" holds no steps'),
        ("a.npz", "x", "it is no archive of arrays"),
    ],
)
def test_unfit_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidLoad, match=words):
        make_samples(ONE, load(Data(str(tmp_path / name))), seed=0)


@pytest.mark.parametrize("text", ['{"t": ["a"]}\n{"t": ["\\ud800"]}', '{"data": [{"t": ["a"]}, {"t": ["\\ud800"]}]}'])
def test_half_of_a_surrogate_pair_is_refused_with_its_row(tmp_path: Path, text: str) -> None:
    """It has no UTF-8, in which texts go out."""
    path = tmp_path / ("a.json" if "data" in text else "a.jsonl")
    path.write_text(text)
    served = replace(ONE, inputs=(Tensor("t", "BYTES", (1,)),))
    with pytest.raises(InvalidLoad, match=rf"{path.name}: row 2: \"t\" is no BYTES: '\\ud800' is no character"):
        make_samples(served, load(Data(str(path))), seed=0)


def test_a_byte_order_mark_is_passed_over_and_a_separator_within_a_text_is_its_own(tmp_path: Path) -> None:
    served = replace(ONE, inputs=(Tensor("t", "BYTES", (1,)),))
    for name, text in (("a.jsonl", '{"t": ["a\u2028b"]}\r\n'), ("a.json", '{"data": [[{"t": ["a\u2028b"]}]]}')):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        (sample,) = make_samples(served, load(Data(str(tmp_path / name))), seed=0)
        assert sample.inputs["t"][1].tolist() == [["a\u2028b"]]
    assert sequence_lengths(str(tmp_path / "a.json")) == [1]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([1, "a"], object), r"objects are not; save numbers, or strings as dtype=str"),
        (np.array(1.0), "is no array of rows"),
    ],
)
def test_arrays_without_rows_of_plain_values_are_refused_by_name(
    tmp_path: Path, array: NDArray[Any], words: str
) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2)), t=array)
    with pytest.raises(InvalidLoad, match=f'"t" .*{words}'):
        make_samples(ONE, load(Data(str(tmp_path / "a.npz"))), seed=0)


def test_rows_that_do_not_fit_in_one_batch_are_named(tmp_path: Path) -> None:
    served = replace(ONE, inputs=(Tensor("x", "FP32", (-1,)), Tensor("t", "INT8", (1,), optional=True)))
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": [1]}\n{"x": [1]}\n{"x": [1]}\n{"x": [1, 2]}')
    assert len(make_samples(served, load(Data(str(path))), seed=0)) == 4
    words = r'rows 3 and 4 can\'t be stacked to a batch: "x" has the shapes \[1\] and \[2\]'
    with pytest.raises(InvalidLoad, match=words):
        make_samples(served, load(Data(str(path)), 2), seed=0)
    path.write_text('{"x": [1]}\n{"x": [1], "t": 1}')
    with pytest.raises(InvalidLoad, match='rows 1 and 2 can\'t be stacked to a batch: only one of them has "t"'):
        make_samples(served, load(Data(str(path)), 2), seed=0)


@pytest.mark.parametrize("batch", [1, 2])
def test_expected_values_are_of_the_outputs_datatypes(tmp_path: Path, batch: int) -> None:
    """Whole numbers in the data of a float are no reason to compare exactly, nor is text a number."""
    served = replace(ONE, outputs=(Tensor("y", "FP32", (1,)), Tensor("n", "INT64", (1,))))
    path = tmp_path / "rows.jsonl"
    path.write_text('{"x": [1, 2], "y": [3], "n": [4.0]}')
    (sample,) = make_samples(served, load(Data(str(path), check=True), batch), seed=0)
    assert sample.expected is not None
    assert {name: array.dtype for name, array in sample.expected.items()} == {"y": np.float32, "n": np.int64}
    found = {"y": np.full(batch, 3.00001, np.float32), "n": np.full(batch, 4, np.int64)}
    assert differing(found, sample.expected, TOLERANCE) == ""
    path.write_text('{"x": [1, 2], "y": [3], "n": [4.5]}')
    with pytest.raises(InvalidLoad, match=r'row 1: "n" is no INT64: 4\.5'):
        make_samples(served, load(Data(str(path), check=True), batch), seed=0)
    assert make_samples(served, load(Data(str(path)), batch), seed=0)


def test_bytes_of_perf_analyzers_json_are_of_the_models_datatypes(tmp_path: Path) -> None:
    words = base64.b64encode(np.array([1.5, -2.0], np.float32).tobytes()).decode()
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"x": {"b64": words}}], "validation_data": [{"y": [1]}]}))
    (sample,) = make_samples(ONE, load(Data(str(tmp_path / "a.json"), check=True)), seed=0)
    assert sample.inputs["x"][1].tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize(
    ("dims", "tensor", "shape"),
    [
        ((2,), {"content": {"b64": ""}, "shape": [2]}, [2]),
        ((2, 1), {"content": {"b64": ""}}, [2, 1]),
        ((-1,), {"b64": ""}, [2]),
        ((-1, 1), {"b64": ""}, [2, 1]),
        ((-1, -1), {"b64": "", "shape": [1, 2]}, [1, 2]),
    ],
)
def test_bytes_have_their_shape_from_the_file_or_the_model(
    tmp_path: Path, dims: tuple[int, ...], tensor: dict[str, Any], shape: list[int]
) -> None:
    """A model without a configuration has its batch among its dimensions: there it is whole."""
    (tensor.get("content") or tensor)["b64"] = base64.b64encode(np.array([1.5, -2.0], np.float32).tobytes()).decode()
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"x": tensor}]}))
    served = ServedModel("m", (Tensor("x", "FP32", dims),), 0, decoupled=False, steps=(), sequences=None)
    (sample,) = make_samples(served, load(Data(str(tmp_path / "a.json"))), seed=0)
    assert list(sample.inputs["x"][1].shape) == shape
    assert sample.inputs["x"][1].ravel().tolist() == [1.5, -2.0]


def test_values_that_an_input_does_not_have_are_refused_before_rows_are_stacked(tmp_path: Path) -> None:
    """A float beside it would make floats of all."""
    whole = replace(ONE, inputs=(Tensor("n", "INT64", (1,)),))
    np.savez(tmp_path / "a.npz", n=np.array([[1], [2**63]], np.uint64))
    with pytest.raises(InvalidLoad, match=r'a\.npz: row 2: "n" is no INT64: 9223372036854775808'):
        make_samples(whole, load(Data(str(tmp_path / "a.npz")), 2), seed=0)
    (tmp_path / "a.jsonl").write_text(f'{{"n": [{2**53 + 1}]}}\n{{"n": [2.0]}}\n')
    (sample,) = make_samples(whole, load(Data(str(tmp_path / "a.jsonl")), 2), seed=0)
    assert sample.inputs["n"][1].tolist() == [[2**53 + 1], [2]]


def test_a_column_that_is_neither_an_input_nor_an_output_is_refused_where_answers_are_checked(tmp_path: Path) -> None:
    served = replace(ONE, outputs=(Tensor("y", "FP32", (1,)),))
    path = tmp_path / "rows.jsonl"
    path.write_text('{"x": [1, 2], "expected:y": [3], "id": 7}')
    assert make_samples(served, load(Data(str(path))), seed=0)
    with pytest.raises(InvalidLoad, match='check: "id" is neither an input of m nor an output, which are y'):
        make_samples(served, load(Data(str(path), check=True)), seed=0)


@pytest.mark.parametrize("source", ["random", "zeros"])
def test_input_without_answers_cannot_be_checked(source: str) -> None:
    with pytest.raises(InvalidLoad, match=f"check: {source} input has no answers"):
        make_samples(ONE, load(Data(source, check=True)), seed=0)


def test_a_slip_in_the_name_of_a_size_is_told() -> None:
    loads = [load(Data(shapes={"z": (3,)}))]
    with pytest.raises(InvalidLoad, match=r"shape z: no input of m, and no variable .* they have x"):
        check_shapes({"m": ONE}, loads)
    check_shapes({"m": ONE}, [load(Data(shapes={"x": (2,)}))])
    variable = replace(ONE, inputs=(Tensor("x", "FP32", (-1,)),))
    check_shapes({"m": variable}, loads)  # its dimension may be called anything
    named = load(Data(shapes={"z": (3,)}, dimensions={"x": ("seq",)}))
    with pytest.raises(InvalidLoad, match="they have x, seq"):
        check_shapes({"m": variable}, [named])


TWO = (Tensor("x", "FP32", (-1, 4)), Tensor("y", "FP32", (-1,)))


@pytest.mark.parametrize(
    ("inputs", "shapes", "dimensions", "words"),
    [
        (TWO[:1], {"x": (1, 4), "z": (3,)}, {}, "shape z: no input of m, and no variable dimension that is left"),
        (TWO[:1], {"x": (1, 4), "rows": (3,)}, {"x": ("rows", "4")}, "shape rows: the whole shapes of its inputs"),
        (ONE.inputs, {"x": (1, 2)}, {}, r"shape x: the input has the shape \[2\], of which 1,2 says nothing"),
        (TWO, {"x": (1, 4), "z": (3,)}, {}, ""),
        (TWO, {"x": (1, 4), "y": (3,)}, {}, ""),
        (TWO, {"rows": (3,), "n": (2,)}, {"x": ("rows", "4"), "y": ("n",)}, ""),
    ],
)
def test_a_size_without_a_use_is_refused(
    inputs: tuple[Tensor, ...],
    shapes: dict[str, tuple[int, ...]],
    dimensions: dict[str, tuple[str, ...]],
    words: str,
) -> None:
    served, loads = replace(ONE, inputs=inputs), [load(Data(shapes=shapes, dimensions=dimensions))]
    with pytest.raises(InvalidLoad, match=words) if words else nullcontext():
        check_shapes({"m": served}, loads)
    if not words:
        assert make_samples(served, loads[0], seed=0)


@pytest.mark.parametrize(
    ("dims", "names", "shapes", "words"),
    [
        ((-1, 4, -1), (), {}, r"x=128,4,128$"),
        ((-1, 4, -1), (), {"seq": (128,), "n": (2,)}, r": x=128,4,128; its dimensions have no names here: not seq, n$"),
        ((-1, 4, -1), ("rows", "4", "columns"), {"rows": (2,)}, r": rows=128, columns=128, or x=128,4,128$"),
        ((-1, -1), ("n", "n"), {}, r": n=128, or x=128,128$"),
    ],
)
def test_sizes_are_proposed_by_names_that_there_are(
    dims: tuple[int, ...], names: tuple[str, ...], shapes: dict[str, tuple[int, ...]], words: str
) -> None:
    served = replace(ONE, inputs=(Tensor("x", "FP32", dims),))
    loads = [load(Data(shapes=shapes, dimensions={"x": names}))]
    check_shapes({"m": served}, loads)
    with pytest.raises(InvalidLoad, match=words):
        make_samples(served, loads[0], seed=0)


@pytest.mark.parametrize(
    ("inputs", "shapes", "dimensions", "taken"),
    [
        (TWO, {"z": (3,)}, {}, "x of m, y of m"),
        (TWO, {"x": (1, 4), "z": (3,)}, {}, "y of m"),
        (TWO, {"n": (3,)}, {"x": ("rows", "4"), "y": ("n",)}, ""),
        (TWO, {"n": (3,)}, {"x": ("n", "4")}, "y of m"),
        (TWO, {"x": (1, 4), "y": (3,)}, {}, ""),
        (TWO, {"x": (3,), "y": (3,)}, {}, ""),
        (TWO, {"z": (3,), "other": (4,)}, {}, ""),
        (ONE.inputs, {}, {}, ""),
    ],
)
def test_what_a_size_was_taken_for_is_told_where_its_name_is_not_known(
    inputs: tuple[Tensor, ...],
    shapes: dict[str, tuple[int, ...]],
    dimensions: dict[str, tuple[str, ...]],
    taken: str,
) -> None:
    served, loads = replace(ONE, inputs=inputs), [load(Data(shapes=shapes, dimensions=dimensions))]
    said = guessed_sizes({"m": served}, loads)
    assert [words.partition(" taken for those of ")[2] for words in said] == ([taken] if taken else [])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('{"x": [1, 2], "y": [3], "expected:y": [3]}', []),
        ('{"x": [1, 2]}\n{"x": [1, 2], "treshold": [1]}', ['"treshold" (did you mean "threshold"?) is no input of m']),
        ('{"x": [1, 2], "id": 7, "X": 1, "expected:z": 1}', ['"id", "X", "expected:z" are no inputs of m']),
        ('{"x": [1, 2], "threshold": [1], "treshold": [1]}', ['"treshold" is no input of m']),
        (
            '{"x": [1, 2], "a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "tresh": 1}',
            ['"tresh" (did you mean "threshold"?), "a", "b", "c", "d" and 1 more are no inputs of m'],
        ),
    ],
)
def test_columns_that_are_not_sent_are_told(rows: str, said: list[str], tmp_path: Path) -> None:
    optional = Tensor("threshold", "FP32", (1,), optional=True)
    served = replace(ONE, inputs=(*ONE.inputs, optional), outputs=(Tensor("y", "FP32", (1,)),))
    file, noted = tmp_path / "rows.jsonl", list[str]()
    file.write_text(rows)
    assert make_samples(served, load(Data(str(file))), seed=0, note=noted.append)
    assert noted == [f"{file}: {words}, and not sent" for words in said]


@pytest.mark.parametrize(
    ("dims", "names", "shapes", "words"),
    [
        ((-1,), (), {"x": (3, 3)}, 'm: shape x=3,3 has 2 sizes; "x" has 1 dimension, [-1]'),
        ((-1, -1, 4), (), {"x": (3, 3)}, 'm: shape x=3,3 has 2 sizes; "x" has 3 dimensions, [-1, -1, 4]'),
        (
            (-1, 4),
            ("n", "4"),
            {"n": (3, 3)},
            'm: shape n=3,3 has 2 sizes; a dimension of "x", of the shape [-1, 4], has one',
        ),
    ],
)
def test_several_sizes_for_one_dimension_are_told(
    dims: tuple[int, ...], names: tuple[str, ...], shapes: dict[str, tuple[int, ...]], words: str
) -> None:
    served = replace(ONE, inputs=(Tensor("x", "FP32", dims),))
    with pytest.raises(InvalidLoad) as raised:
        make_samples(served, load(Data(shapes=shapes, dimensions={"x": names})), seed=0)
    assert str(raised.value) == words


def test_a_size_that_the_model_does_not_take_is_refused() -> None:
    with pytest.raises(InvalidLoad, match=r'"x" has the shape \[2\], not \[3\]'):
        make_samples(ONE, load(Data(shapes={"x": (3,)})), seed=0)


def test_a_length_of_strings_is_for_strings() -> None:
    numbers = ServedModel("numbers", (Tensor("x", "FP32", (2,)),), 0, False, ())
    words = ServedModel("words", (Tensor("text", "BYTES", (1,)),), 0, False, ())
    load = ModelLoad("numbers", data=Data(string_length=4))
    with pytest.raises(InvalidLoad, match="string_length: no input of numbers is of strings"):
        check_strings({"numbers": numbers}, [load])
    check_strings({"numbers": numbers, "words": words}, [load])
    check_strings({"numbers": numbers}, [ModelLoad("numbers")])


def unconfigured(*shape: int) -> ServedModel:
    """A model of a server that tells no configuration."""
    tensors = [{"name": name, "datatype": "FP32", "shape": list(shape)} for name in ("x", "y")]
    return read_model({"name": "m", "inputs": tensors[:1], "outputs": tensors[1:]}, {})


@pytest.mark.parametrize(
    ("shape", "data", "batch", "sent"),
    [
        ((-1, 4), Data(), 1, (1, 4)),
        ((-1, 4), Data(), 8, (8, 4)),
        ((-1, 4), Data("zeros", shapes={"x": (128, 4)}), 1, (128, 4)),
        ((-1, -1), Data(shapes={"x": (5,)}), 2, (2, 5)),
        ((-1,), Data(shapes={"x": (5,)}), 1, (5,)),
        ((-1,), Data(), 3, (3,)),
    ],
    ids=str,
)
def test_a_first_dimension_that_varies_is_the_batchs_where_no_configuration_says_it(
    shape: tuple[int, ...], data: Data, batch: int, sent: tuple[int, ...]
) -> None:
    """Unless it is sized as any other."""
    loaded = load(data, batch)
    served = as_loaded(unconfigured(*shape), loaded)
    check_shapes({"m": served}, [loaded])
    assert make_samples(served, loaded, seed=0)[0].inputs["x"][1].shape == sent


@pytest.mark.parametrize(
    ("row", "batch", "sent"),
    [([1, 2], 1, [[1, 2]]), ([1, 2], 2, [[1, 2], [1, 2]]), ([[1, 2], [3, 4]], 1, [[1, 2], [3, 4]])],
    ids=str,
)
def test_rows_have_the_first_dimension_or_are_batched(
    row: list[Any], batch: int, sent: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"x": row, "y": row}))
    loaded = load(Data(str(tmp_path / "rows.jsonl"), check=True), batch)
    (sample,) = make_samples(as_loaded(unconfigured(-1, 2), loaded), loaded, seed=0)
    assert sample.inputs["x"][1].tolist() == sent
    assert sample.expected is not None
    assert sample.expected["y"].tolist() == sent


def test_a_batch_of_a_first_dimension_that_does_not_vary_is_refused() -> None:
    loaded = load(Data(), 8)
    with pytest.raises(
        InvalidLoad, match='8; it takes 1: the first dimension of "x" doesn\'t vary, and the server tells'
    ):
        make_samples(as_loaded(unconfigured(2, -1), loaded), loaded, seed=0)
