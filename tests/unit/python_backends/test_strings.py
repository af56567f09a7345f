"""BYTES tensors as the user's Python sees them."""

from __future__ import annotations

import numpy as np
import pytest
from tritonforge_runtime import strings
from tritonforge_runtime.errors import InvalidResult, InvalidText


def test_text_is_decoded_and_keeps_its_shape() -> None:
    array = np.array([["é".encode(), b""]], dtype=object)

    assert strings.decode(array, "title").tolist() == [["é", ""]]


def test_no_text_at_all_is_decoded_too() -> None:
    assert strings.decode(np.empty((0, 1), dtype=object), "title").shape == (0, 1)


def test_what_is_not_utf8_is_named() -> None:
    array = np.array([[b"ok"], [b"a\xff"]], dtype=object)

    with pytest.raises(InvalidText, match=r'input "title" is not valid UTF-8 at \[1, 0\]: byte 0xff at position 1'):
        strings.decode(array, "title")


@pytest.mark.parametrize(
    "array",
    [
        np.array(["é", "b"]),
        np.array(["é".encode(), b"b"]),
        np.array(["é", b"b"], dtype=object),
        np.array([np.str_("é"), np.bytes_(b"b")], dtype=object),
    ],
)
def test_every_kind_of_string_is_encoded_as_it_reads(array: np.ndarray) -> None:
    encoded = strings.encode(array, "title")

    assert [item.encode() if isinstance(item, str) else item for item in encoded] == ["é".encode(), b"b"]
    assert {type(item) for item in encoded} <= {str, bytes}


@pytest.mark.parametrize("value", [None, 3, 2.5, ["a"]])
def test_what_is_no_string_is_refused(value: object) -> None:
    array = np.empty(1, dtype=object)
    array[0] = value

    with pytest.raises(InvalidResult, match=r"^title holds .* wanted str or bytes"):
        strings.encode(array, "title")


def test_bytes_in_text_must_be_utf8() -> None:
    strings.require_text(np.array([["é", "é".encode(), "\ud800"]], object), "output")
    with pytest.raises(
        InvalidResult, match=r"^output holds bytes that are not UTF-8 \(.* 0xff .*\); annotate it as Bytes$"
    ):
        strings.require_text(np.array(["a", b"\xff"], object), "output")


def test_half_of_a_surrogate_pair_is_found() -> None:
    strings.require_utf8(np.array([["é", b"\xff"]], object), "output")
    with pytest.raises(InvalidResult, match=r"^output holds '\\ud800', half of a surrogate pair"):
        strings.require_utf8(np.array(["a", "b\ud800"], object), "output")
