"""Header blocks: what is written is read again, and so is what other writers make of the same fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.hpack import decode_headers, encode_field, encode_headers

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True), TEXT, max_size=5))
def test_what_is_written_is_read(fields):
    assert decode_headers(b"".join(encode_field(*field) for field in fields.items())) == fields


def test_a_call_has_the_headers_of_grpc():
    assert decode_headers(encode_headers("/s/m", "host:1", [("X-Key", "v")])) == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/s/m",
        ":authority": "host:1",
        "te": "trailers",
        "content-type": "application/grpc",
        "x-key": "v",
    }


def test_huffman_codes_are_read():
    # RFC 7541, C.4.1: ":authority: www.example.com" by the static table's name; then a literal name and value, C.4.3.
    assert decode_headers(bytes.fromhex("018cf1e3c2e5f23a6ba0ab90f4ff")) == {":authority": "www.example.com"}
    assert decode_headers(bytes.fromhex("008825a849e95ba97d7f8925a849e95bb8e8b4bf")) == {"custom-key": "custom-value"}


def test_the_static_table_is_read_and_sizes_of_the_other_are_passed_over():
    assert decode_headers(bytes([0x20, 0x88, 0x8D])) == {":status": "404"}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("be", "entry 62"),
        ("80", "entry 0"),
        ("0003", "breaks off"),
        ("ff", "breaks off"),
        ("00ffffffffffffff7f", "32 bits"),
        ("018100", "Huffman"),
        ("0184ffffffff", "end of a string"),
    ],
)
def test_what_is_no_block_is_said(block, words):
    with pytest.raises(ValueError, match=words):
        decode_headers(bytes.fromhex(block))
