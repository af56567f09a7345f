"""Tensors as bytes and back."""

from __future__ import annotations

import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from tritonforge.client.tensors.wire import decode, encode
from tritonforge.dtypes import DTYPES
from tritonforge.errors import InvalidTensor

NUMBERS = sorted(set(DTYPES) - {"BYTES", "BF16"})
SHAPES = npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)


@given(data=st.data())
@pytest.mark.parametrize("datatype", NUMBERS)
def test_an_array_survives_the_wire_bit_by_bit(datatype, data):
    array = data.draw(npst.arrays(DTYPES[datatype].numpy, SHAPES))
    decoded = decode(datatype, array.shape, bytes(encode(array, datatype)))
    assert decoded.dtype == array.dtype
    assert decoded.shape == array.shape
    assert decoded.tobytes() == array.tobytes()


@given(npst.arrays(np.float32, SHAPES))
def test_bf16_survives_the_wire(wide):
    with np.errstate(invalid="ignore"):
        array = wide.astype(ml_dtypes.bfloat16)
    decoded = decode("BF16", array.shape, encode(array, "BF16"))
    assert decoded.dtype == ml_dtypes.bfloat16
    assert decoded.tobytes() == array.tobytes()


@given(npst.arrays(object, SHAPES, elements=st.binary(max_size=300)))
def test_bytes_are_as_tritonclient_writes_and_reads_them(array):
    data = encode(array, "BYTES")
    theirs = serialize_byte_tensor(array)
    assert bytes(data) == (theirs.item() if array.size else b"")
    decoded = decode("BYTES", array.shape, data)
    assert decoded.dtype == object
    assert decoded.shape == array.shape
    assert decoded.ravel().tolist() == array.ravel().tolist() == deserialize_bytes_tensor(bytes(data)).tolist()


@given(npst.arrays(object, SHAPES, elements=st.one_of(st.text(max_size=50), st.binary(max_size=50))))
def test_text_is_encoded_as_utf8_also_beside_bytes(array):
    decoded = decode("BYTES", array.shape, encode(array, "BYTES"))
    wanted = [item.encode() if isinstance(item, str) else item for item in array.ravel()]
    assert decoded.ravel().tolist() == wanted


@pytest.mark.parametrize("array", [np.array([["ab", "ü"]]), np.array([[b"ab", "ü".encode()]])], ids=["U", "S"])
def test_fixed_width_strings_are_encoded(array):
    assert decode("BYTES", (1, 2), encode(array, "BYTES")).tolist() == [[b"ab", "ü".encode()]]


@pytest.mark.parametrize("width", [1, 3, 7, 8, 9, 16, 24, 63, 64, 65, 119, 120, 121, 300])
@pytest.mark.parametrize("size", [255, 256, 1000])
def test_ragged_strings_of_fixed_width_are_encoded(width, size):
    draw = np.random.default_rng(width)
    lengths = draw.integers(0, width + 1, size)
    lengths[:2] = 0, width  # the first and the second
    lengths[-1] = size % (width + 1)
    words = [draw.integers(0, 256, length, np.uint8).tobytes() for length in lengths]  # NULs inside them, too
    array = np.array(words, f"S{width}")
    wanted = b"".join(len(word).to_bytes(4, "little") + word for word in array.tolist())
    assert bytes(encode(array, "BYTES")) == wanted
    assert bytes(encode(array.reshape(-1, 1)[::-1][::-1], "BYTES")) == wanted
    text = np.array([bytes(byte & 0x7F for byte in word).decode() for word in words], f"U{width}")
    assert decode("BYTES", (size,), encode(text, "BYTES")).tolist() == [word.encode() for word in text.tolist()]


def test_subclasses_of_str_and_bytes_are_encoded():
    array = np.array([np.str_("a"), np.bytes_(b"b")], object)
    assert bytes(encode(array, "BYTES")) == b"\1\0\0\0a\1\0\0\0b"


@pytest.mark.parametrize("element", [None, 1, 1.5, bytearray(b"x"), ["a"]])
def test_an_object_that_is_no_string_is_refused(element):
    array = np.array(["a", None], object)
    array[1] = element
    with pytest.raises(InvalidTensor, match=r"a BYTES tensor holds str or bytes"):
        encode(array, "BYTES")


def test_text_that_utf8_cannot_hold_is_refused():
    with pytest.raises(InvalidTensor, match="can't be encoded as UTF-8"):
        encode(np.array(["\ud800"], object), "BYTES")


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.int32).reshape(3, 4).T,
        np.arange(12, dtype=np.int32)[::-2],
        np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4)),
        np.arange(12, dtype=">i4").reshape(3, 4),
        np.broadcast_to(np.int32(7), (2, 3)),
    ],
    ids=["transposed", "strided", "fortran", "big-endian", "broadcast"],
)
def test_any_memory_layout_becomes_little_endian_rows(array):
    assert np.array_equal(decode("INT32", array.shape, encode(array, "INT32")), array)


def test_encoding_a_plain_array_makes_no_copy_unless_that_is_quicker():
    array = np.arange(6000, dtype=np.float32)
    assert np.shares_memory(np.frombuffer(encode(array, "FP32"), np.uint8), array)


def test_a_decoded_array_owns_its_memory_and_may_be_written():
    data = bytearray(b"x" + np.arange(3, dtype="<f8").tobytes())
    decoded = decode("FP64", (3,), memoryview(data)[1:])
    decoded[0] = 5
    assert decoded.flags.aligned
    assert decoded.flags.owndata
    assert data[1:9] == bytes(8)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "message"),
    [
        ("FP32", (3,), b"12345678", r"FP32\[3\] takes 12 bytes, but 8 came"),
        ("FP32", (2,), b"1234567", r"FP32\[2\] takes 8 bytes, but 7 came"),
        ("INT8", (-1, -2), b"12", "negative"),
        ("FP8", (1,), b"1", "FP8 is unknown"),
        ("BYTES", (1,), b"\5\0\0\0abc", "don't end where"),
        ("BYTES", (2,), b"\1\0\0\0abcde", "don't end where"),
        ("BYTES", (1,), b"\1\0\0\0ab", "don't end where"),
        ("BYTES", (1 << 40,), b"\0\0\0\0", "take more than"),
        ("BYTES", (0,), b"\0\0\0\0", "don't end where"),
        ("FP32", (0, 1 << 70), b"", "no array has the shape"),
        ("INT8", (1 << 62, 0, 4), b"", "no array has the shape"),
        ("INT8", (1,) * 65, b"1", "no array has the shape"),
        ("BYTES", (0, 1 << 70), b"", "no array has the shape"),
    ],
)
def test_bytes_that_are_not_the_tensor_are_refused(datatype, shape, data, message):
    with pytest.raises(InvalidTensor, match=message):
        decode(datatype, shape, data)


@given(st.integers(0, 6), st.binary(max_size=40))
def test_garbage_is_decoded_or_refused_but_never_crashes(count, data):
    try:
        decoded = decode("BYTES", (count,), data)
    except InvalidTensor:
        return
    assert b"".join(struct.pack("<I", len(item)) + item for item in decoded) == data
