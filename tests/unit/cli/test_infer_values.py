"""What `--input` options become."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonforge.cli.infer_cast import cast_array, cast_values
from tritonforge.cli.infer_values import BadInput, make_arrays, read_sources
from tritonforge.dtypes import DTYPES
from tritonforge.ir import Signature, TensorSpec


def read(options, datatype="FP32", dims=(3,), *, batched=True):
    signature = Signature((TensorSpec("x", datatype, dims), TensorSpec("z", "INT64", (1,))), (), batched=batched)
    return make_arrays(read_sources([options] if isinstance(options, str) else options), signature)


def value(text, datatype="FP32", dims=(3,), *, batched=True):
    return read(f"x={text}", datatype, dims, batched=batched)["x"]


@pytest.fixture
def saved(tmp_path):
    def save(name, content):
        path = tmp_path / name
        if name.endswith(".npy"):
            np.save(path, content)
        elif name.endswith(".npz"):
            np.savez(path, **content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"@{path}"

    return save


@pytest.mark.parametrize(
    ("text", "datatype", "wanted"),
    [
        ("[[1, 2.5, -3]]", "FP32", [[1, 2.5, -3]]),
        ("[[1, 2, 3]]", "INT64", [[1, 2, 3]]),
        ("[[1.0, 2e3, -0.0]]", "INT16", [[1, 2000, 0]]),
        (f"[[{2**64 - 1}, 0, 1]]", "UINT64", [[2**64 - 1, 0, 1]]),
        (f"[[{-(2**63)}, {2**63 - 1}, 1]]", "INT64", [[-(2**63), 2**63 - 1, 1]]),
        ("[[true, false, 1]]", "BOOL", [[True, False, True]]),
        ('[[Infinity, "-Infinity", "inf"]]', "FP64", [[np.inf, -np.inf, np.inf]]),
        ("[[0.1, 1, 65504]]", "FP16", np.array([[0.1, 1, 65504]], np.float16).tolist()),
        ("[[0.1, 1, 256]]", "BF16", np.array([[0.1, 1, 256]], ml_dtypes.bfloat16).astype(float).tolist()),
        ('[["a", "ü", ""]]', "BYTES", [["a", "ü", ""]]),
    ],
)
def test_json_becomes_the_datatype_that_the_model_wants(text, datatype, wanted):
    array = value(text, datatype)
    assert array.dtype == DTYPES[datatype].numpy
    assert array.astype(float).tolist() == wanted if datatype == "BF16" else array.tolist() == wanted


def test_a_float_becomes_the_nearest_bf16(saved):
    number = 1 + 2**-8 + 2**-30  # FP32 has none between it and one that is as near to 1.0
    assert value(f"[[{number}, 1, 1]]", "BF16").astype(float).tolist() == [[1.0078125, 1, 1]]
    assert value(saved("x.npy", np.array([[number, 1, 1]])), "BF16").astype(float).tolist() == [[1.0078125, 1, 1]]


def test_nan_is_taken_in_both_spellings():
    assert np.isnan(value('[[NaN, "NaN", "nan"]]')).all()


@pytest.mark.parametrize(
    ("text", "datatype", "message"),
    [
        ("[1, 1.5, 2]", "INT64", "1.5 is not a whole number; INT64[batch, 3] wanted"),
        ("[1, NaN, 2]", "INT64", "nan is not a whole number"),
        ("[1, 300, 2]", "UINT8", "300 is outside UINT8's range, 0 to 255"),
        ("[1, -1, 2]", "UINT64", "-1 is outside UINT64's range"),
        ("[1, 16777217, 2]", "FP32", "16777217 would become 16777216 in FP32, which can't hold it exactly"),
        ("[1, 257, 2]", "BF16", "257 would become 256 in BF16"),
        ("[1, 1e39, 2]", "FP32", "1e+39 is too large for FP32"),
        ("[1, 70000.5, 2]", "FP16", "70000.5 is too large for FP16"),
        ("[1, 1" + "0" * 400 + ", 2]", "FP64", "a number is too large for FP64"),
        ("[1, true, 2]", "FP32", "true is not a number"),
        ("[1, true, 2]", "INT8", "true is not a whole number"),
        ("[1, null, 2]", "FP32", "null is not a number"),
        ('[1, "a", 2]', "FP32", '"a" is not a number'),
        ('[{"a": 1}, 1, 2]', "FP32", "is not a number"),
        ("[1, 2, 0]", "BOOL", "2 is not true or false"),
        ("[1, 2, 3]", "BYTES", '1 is not a string; for text, put it in quotes: "1"'),
        ("[[1, 2], [3]]", "FP32", "the rows differ in shape: row 0 has [2], row 1 [1]"),
        ("[[1, 2], 3]", "FP32", "the rows differ in shape: row 0 has [2], row 1 []"),
        ("abc", "FP32", "'abc' is not JSON"),
        ("x.npy", "FP32", "a file takes an @ before it"),
        ("[" * 100_000, "FP32", "is not JSON"),
    ],
)
def test_what_would_be_another_value_is_refused_by_name(text, datatype, message):
    with pytest.raises(BadInput) as caught:
        value(text, datatype)
    assert str(caught.value).startswith('input "x": ')
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hello", "hello"),
        ('"hello"', "hello"),
        ("12", "12"),
        ("true", "true"),
        ('{"a": 1}', '{"a": 1}'),
        ("[oops", "[oops"),
        ("", ""),
        ("a=b", "a=b"),
        ('"@home"', "@home"),
    ],
)
def test_bare_text_is_a_string_where_strings_are_wanted(text, wanted):
    assert value(text, "BYTES", (1,)).tolist() == [[wanted]]


@pytest.mark.parametrize(
    ("text", "dims", "batched", "shape"),
    [
        ("[1, 2, 3]", (3,), True, (1, 3)),
        ("[[1, 2, 3]]", (3,), True, (1, 3)),
        ("[[1, 2], [3, 4]]", (2, 2), True, (1, 2, 2)),
        ("5", (1,), True, (1, 1)),
        ("5", ("_", "_"), True, (1, 1, 1)),
        ("[1, 2, 3]", (1,), True, (3, 1)),
        ("[1, 2, 3]", (3,), False, (3,)),
        ("5", (1,), False, (1,)),
        ("[[1, 2, 3]]", ("_",), False, (3,)),
        ("[[[1]]]", (1,), True, (1, 1, 1)),
        ("[]", ("_",), False, (0,)),
    ],
)
def test_dimensions_that_people_leave_out_are_added(text, dims, batched, shape):
    assert value(text, dims=dims, batched=batched).shape == shape


def test_numpy_files(saved):
    array = np.arange(6).reshape(2, 3)
    assert value(saved("x.npy", array)).tolist() == array.tolist()
    assert value(saved("x.npy", array.astype(np.float64) + 0.1)).dtype == np.float32
    assert value(saved("x.npz", {"any": array})).tolist() == array.tolist()
    assert value(saved("x.npy", np.array([["a", "b", "c"]])), "BYTES").tolist() == [["a", "b", "c"]]
    both = read(saved("all.npz", {"x": array, "z": np.array([[1], [2]])}))
    assert {name: found.shape for name, found in both.items()} == {"x": (2, 3), "z": (2, 1)}


def test_json_files(saved):
    assert value(saved("x.json", "[[1, 2, 3]]")).tolist() == [[1, 2, 3]]
    both = read(saved("all.json", '{"x": [1, 2, 3], "z": 4}'))
    assert {name: found.tolist() for name, found in both.items()} == {"x": [[1, 2, 3]], "z": [[4]]}


@pytest.mark.parametrize(
    "content",
    [
        "1,2,3\n4,5,6.5\n",
        "a,b,c\n1,2,3\n4,5,6.5\n",
        "\ufeffa,b,c\r\n1, 2, 3\r\n\r\n4,5,6.5",
        '"1","2","3"\n4,5,6.5',
        "1;2;3\n4;5;6.5\n",
        "a\tb\tc\n1\t2\t3\n4\t5\t6.5",
    ],
)
def test_csv_files_with_and_without_a_header(saved, content):
    assert value(saved("x.csv", content)).tolist() == [[1, 2, 3], [4, 5, 6.5]]


def test_a_csv_file_of_one_row_is_that_row(saved):
    assert value(saved("x.csv", "1;2;3\n")).tolist() == [[1, 2, 3]]
    assert value(saved("x.csv", "x"), "BYTES", (1,)).tolist() == [["x"]]
    assert value(saved("x.csv", "x\na;b"), "BYTES", (1,)).tolist() == [["a;b"]]


def test_csv_columns_and_strings(saved):
    assert value(saved("x.csv", "v\n1\n2\n"), dims=(1,)).tolist() == [[1], [2]]
    assert value(saved("x.csv", "1\n2\n"), dims=("_",), batched=False).tolist() == [1, 2]
    assert value(saved("x.csv", 'x\n"a,b"\nc\n'), "BYTES", (1,)).tolist() == [["a,b"], ["c"]]


def test_text_and_other_files(saved):
    assert value(saved("x.txt", "one\ntwo\n"), "BYTES", (1,)).tolist() == [["one\ntwo"]]
    assert value(saved("x.txt", "1 2 3\n4\t5 6\n")).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert value(saved("x.jpg", b"\xff\xd8\x00"), "BYTES", (1,)).tolist() == [[b"\xff\xd8\x00"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "1,2,3\n4,x,6\n", "row 2 has 'x', which is not a number"),
        ("x.csv", "a,b,c\n1,2,3\n4,,6\n", "row 3 has '', which is not a number"),
        ("x.csv", "1,2,3\n4,5\n", "the rows have between 2 and 3 cells"),
        ("x.csv", b"\xff\xfe1", "can't decode byte"),
        ("x.json", "[1, 2", "not JSON"),
        ("x.json", '{"a": 1}', "is not a number"),
        ("x.npy", np.array([["a", "b", "c"]]), "it holds BYTES"),
        ("x.npy", np.array([[1, 2, 1j]]), "it holds complex128"),
        ("x.npy", np.array([[True, False, True]]), "it holds BOOL"),
        ("x.npy", np.array([[1e39, 1, 1]]), "1e+39 is too large for FP32"),
        ("x.npy", np.array([[2**24 + 1, 1, 1]]), "can't hold it exactly"),
        ("x.npz", {"a": np.ones(3), "b": np.ones(3)}, "it holds 2 arrays (a, b); to give them all: --input @"),
        ("x.bin", b"123", "the bytes of a .bin file are for a BYTES input; known are .csv, .json"),
        (
            "x.pkl",
            b"123",
            "x.pkl: .pkl files are not read; known are .csv, .json, .npy, .npz, .txt for values, and .bin",
        ),
        ("x", b"123", "the file's name has no ending"),
        ("x.csv", "", "no rows"),
        ("x.csv", "\n\n", "no rows"),
        ("x.txt", "", "no rows"),
        ("x.csv", "a,b,c\n", "row 1 has 'a', which is not a number"),
        ("x.csv", "1;2;x\n", "row 1 has 'x', which is not a number"),
        ("x.csv", "1,5;2,5;3,5\n", "look separated by semicolons: then write decimals with points"),
        ("x.npy", np.array([[2**24 + 1, 1, 1]]), "the file holds INT64; if rounding is meant, save it as float64"),
    ],
)
def test_a_file_that_is_not_what_is_wanted_is_refused_by_name(saved, name, content, message):
    with pytest.raises(BadInput) as caught:
        value(saved(name, content))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.json"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04broken", b"\x93NUMPY\x01\x00"])
def test_a_broken_file_is_said_to_be(saved, name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=rf"{name}: not "):
        value(f"@{tmp_path / name}")


def test_an_array_of_python_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([object()], object), allow_pickle=True)
    with pytest.raises(BadInput, match="Object arrays cannot be loaded"):
        value(f"@{tmp_path / 'x.npy'}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["x=1", "x=2"], 'input "x" is given twice'),
        (["y=1"], 'there is no input "y"; there are: x, z'),
        (["x"], "--input x: wanted name=value"),
        (["=1"], "--input =1: wanted name=value"),
        (["x=@/no/such/file.npy"], "/no/such/file.npy: No such file or directory"),
        (["x=@"], "Is a directory"),
        (["@/no/such/file.npz"], "/no/such/file.npz: No such file or directory"),
        (["@x.csv"], "names are read from .npz and .json files only"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused(options, message):
    with pytest.raises(BadInput) as caught:
        read(options)
    assert message in str(caught.value)


INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")


@settings(deadline=None)
@given(st.lists(st.integers(-(2**64), 2**65)), st.sampled_from([*INTEGERS, "FP16", "FP32", "FP64", "BF16"]))
def test_a_whole_number_is_kept_exactly_or_refused(numbers, datatype):
    try:
        array = cast_values(json.loads(json.dumps(numbers)), datatype)
    except ValueError:
        return
    exact = array.tolist() if array.dtype.kind in "iu" else array.astype(np.float64).tolist()
    assert [int(number) for number in exact] == numbers


@settings(deadline=None)
@given(st.data(), st.sampled_from(INTEGERS), st.sampled_from([*INTEGERS, "FP32", "FP64"]))
def test_a_saved_array_is_cast_exactly_or_refused(data, datatype, found):
    dtype = DTYPES[found].numpy
    numbers = (
        st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        if dtype.kind in "iu"
        else st.floats(width=dtype.itemsize * 8)
    )
    array = np.array(data.draw(st.lists(numbers)), dtype)
    try:
        cast = cast_array(array, datatype)
    except ValueError:
        assert array.size
        return
    assert cast.dtype == DTYPES[datatype].numpy
    assert [int(number) for number in cast.tolist()] == array.tolist()
