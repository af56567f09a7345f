"""Answers like one that has been read before."""

from __future__ import annotations

import numpy as np
import pytest

from tritonforge.client.tensors.usual import Output, Usual

FP32, INT8 = np.dtype(np.float32), np.dtype(np.int8)
DATA = b"head" + np.array([1, 2], np.float32).tobytes() + b"gap" + b"\5" + b"end"
OUTPUTS: list[Output] = [("y", "FP32", FP32, (2,), 4, 12), ("n", "INT8", INT8, (1,), 15, 16)]


def usual() -> Usual:
    return Usual("m", "3", "7", OUTPUTS, DATA)


def changed(position: int) -> bytes:
    """Change one byte of the answer."""
    return DATA[:position] + bytes([DATA[position] ^ 1]) + DATA[position + 1 :]


def test_an_answer_is_kept_without_the_bytes_of_its_tensors() -> None:
    assert usual().types == (("y", "FP32"), ("n", "INT8"))
    assert (usual().model, usual().version, usual().id, usual().start) == ("m", "3", "7", "4")


@pytest.mark.parametrize("position", range(len(DATA)))
def test_only_the_bytes_of_the_tensors_may_differ(position: int) -> None:
    of_a_tensor = 4 <= position < 12 or position == 15
    assert (usual().read(changed(position)) is not None) == of_a_tensor


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"\0", b""])
def test_an_answer_of_another_length_is_another_one(data: bytes) -> None:
    assert usual().read(data) is None


def test_the_arrays_are_the_callers_own() -> None:
    result = usual().read(DATA)
    assert result is not None
    y, n = result
    assert (result.model, result.model_version, result.id, dict(result.parameters)) == ("m", "3", "7", {})
    assert (y.tolist(), y.dtype, n.tolist(), n.dtype) == ([1, 2], FP32, [5], INT8)
    assert all(array.flags.writeable and array.flags.aligned and array.flags.owndata for array in result)


def test_tensors_without_a_dtype_are_decoded() -> None:
    strings = b"\2\0\0\0ab"
    found = Usual("m", "", "", [("s", "BYTES", None, (1,), 0, 6)], strings).read(strings)
    assert found is not None
    assert found.s.tolist() == [b"ab"]
    assert Usual("m", "", "", [("s", "BYTES", None, (1,), 0, 6)], strings).read(b"\3\0\0\0ab") is None


def test_an_answer_is_read_from_behind_what_frames_it() -> None:
    framed = b"frame" + DATA
    found = usual().read(framed, 5)
    assert found is not None
    assert (found.y.tolist(), found.n.tolist()) == ([1, 2], [5])
    assert found.y.flags.aligned
    assert usual().read(framed) is None
    assert usual().read(DATA, 5) is None
    strings = b"frame" + b"\2\0\0\0ab"
    text = Usual("m", "", "", [("s", "BYTES", None, (1,), 0, 6)], strings[5:]).read(strings, 5)
    assert text is not None
    assert text.s.tolist() == [b"ab"]


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_an_empty_tensor_at_the_end_is_there(shape: tuple[int, ...]) -> None:
    found = Usual("m", "", "", [("e", "FP32", FP32, shape, 4, 4)], b"head").read(b"head")
    assert found is not None
    assert found.e.shape == shape


def test_an_answer_without_outputs_is_one_too() -> None:
    found = Usual("m", "", "", [], b"head").read(b"head")
    assert found is not None
    assert len(found) == 0
    assert Usual("m", "", "", [], b"head").read(b"heat") is None
