"""Server-sent events, as Triton's generate extension sends them."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.client.errors import InferenceFailed, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.http.events import Events, generate_body, mistyped, read_event

TARGET = Target("http://h:1", "m", request_id="r")
STREAM = b'data: {"a":1}\n\ndata: {"a":2}\r\n\r\n: nothing\n\ndata: {"a":\ndata: 3}\n\n'


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_events_are_whole_however_their_bytes_come(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    events = Events()
    found = [e for a, b in pairwise(edges) for e in events.feed(STREAM[a:b])]
    assert [read_event(event, TARGET)["a"] for event in found] == [1, 2, 3]
    events.end(TARGET)


def test_a_stream_that_breaks_off_is_an_error():
    events = Events()
    assert list(events.feed(b'data: {"a"')) == []
    with pytest.raises(InferenceFailed, match="middle of an event"):
        events.end(TARGET)


def test_errors_and_what_is_no_event_raise():
    with pytest.raises(InferenceFailed, match="bad"):
        read_event(b'{"error": "bad"}', TARGET)
    for wrong in (b"[]", b"x", b""):
        with pytest.raises(ServerUnavailable, match="not Triton's"):
            read_event(wrong, TARGET)


def test_a_value_of_the_wrong_type_is_the_requests_fault():
    words = "Unable to parse 'data': attempt to access JSON non-number as double"
    failed = InferenceFailed(words, TARGET)
    failed.code = "500"
    told = mistyped(failed, TARGET)
    assert told is not None
    assert (told.reason, told.code) == (f"a value is not of its input's type: {words}", "500")
    assert mistyped(InferenceFailed(f"Failed to process the request(s): {words}", TARGET), TARGET) is None


def test_inputs_are_worded_for_json():
    inputs = {"text": b"a", "numbers": np.array([1, 2]), "n": np.float32(0.5)}
    assert generate_body(inputs, TARGET) == {"id": "r", "text": "a", "numbers": [1, 2], "n": 0.5}
    with pytest.raises(InvalidRequest, match="sent as JSON"):
        generate_body({"x": object()}, TARGET)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"text": "a\ud800"}, r'^input "text": a text in it has no form in UTF-8: surrogates not allowed$'),
        ({"words": ["a", "\udfff"]}, r'^input "words": a text in it has no form in UTF-8'),
        ({"a\ud800": 1}, r'^input "a\\ud800": a text in it has no form in UTF-8'),
        ({"parameters": {"a": "\ud800"}}, r'^input "parameters": a text in it has no form in UTF-8'),
        ({"x": [[1, 2]]}, r'^input "x": a list of lists given, of 2 values; generate takes one value, or a flat list'),
        ({"x": np.ones((1, 3), np.float32)}, r'^input "x": a list of lists given, of 3 values'),
    ],
)
def test_what_triton_takes_for_no_data_is_refused_before_it_is_sent(inputs, problem):
    with pytest.raises(InvalidRequest) as caught:
        generate_body(inputs, TARGET)
    assert re.match(problem, caught.value.reason)


def test_texts_beyond_ascii_and_rows_of_one_value_are_sent():
    inputs = {"text": "é😀", "x": [[1], [2]], "none": []}
    assert generate_body(inputs, TARGET) == {"id": "r", **inputs}


def test_ids_that_triton_would_cut_off_are_refused():
    with pytest.raises(ValueError, match=r"sequence_id is .* before the NUL"):
        generate_body({"sequence_id": "a\0b"}, TARGET)
    with pytest.raises(ValueError, match=r"request_id is .* before the NUL"):
        generate_body({}, TARGET._replace(request_id="a\0b"))


def test_the_one_answer_of_a_decoupled_model_names_the_call_that_gives_all():
    """Triton 24.10 says this of one that gives none, or several."""
    words = (
        "generate expects model to produce exactly 1 response, use generate stream for model that generates various "
        "number of responses "
    )
    with pytest.raises(InferenceFailed) as raised:
        read_event(json.dumps({"error": words}).encode(), TARGET)
    hint = "it is decoupled: client.generate_stream(…) gives each response as it comes"
    assert raised.value.reason == f"{words.rstrip()}; {hint}"
