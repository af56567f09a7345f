"""Answers under load, held against what was expected."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest

from tritonforge.load.input.answers import Answers, NotAnAnswer, check_named
from tritonforge.load.links.http import error_words
from tritonforge.load.workers.job import Payload


@pytest.mark.parametrize("escaped", [True, False])
def test_text_in_json_is_utf_8(escaped: bool) -> None:
    outputs = [{"name": "up", "datatype": "BYTES", "shape": [2], "data": ["HÉLLO", "日本"]}]
    body = json.dumps({"outputs": outputs}, ensure_ascii=escaped).encode()
    payload = Payload(b"", expected={"up": np.array(["HÉLLO", "日本"], object)})
    assert Answers().check(payload, body, grpc=False) == ""
    other = Payload(b"", expected={"up": np.array(["HELLO", "日本"], object)})
    assert Answers().check(other, body, grpc=False).startswith('wrong answer: output "up" is ')


def test_binary_tensors_follow_text_that_is_not_ascii() -> None:
    data = np.arange(3, dtype=np.float32)
    tensor = {"name": "y", "datatype": "FP32", "shape": [3], "parameters": {"binary_data_size": 12}}
    head = json.dumps({"model_name": "modèle", "outputs": [tensor]}, ensure_ascii=False).encode()
    assert Answers().check(Payload(b"", expected={"y": data}), head + data.tobytes(), grpc=False) == ""


def test_an_answer_of_a_sequence_may_have_nothing_to_say_yet() -> None:
    check_named(b'{"outputs":[]}', ["y"], none_too=True)
    for answer in (b'{"outputs":[]}', b'{"outputs":[{"name":"other"}]}'):
        with pytest.raises(NotAnAnswer, match="; the model has y"):
            check_named(answer, ["y"], none_too=b"other" in answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[" * 100_000,
        b'{"outputs":{"y":3}}',
        b'{"outputs":[5]}',
        b'{"outputs":[{"name":["y"],"datatype":"FP32","shape":[1],"data":[1]}]}',
        b'{"outputs":[{"name":"y","datatype":"FP33","shape":[1],"data":[1]}]}',
        b'{"outputs":[{"name":"y","datatype":["FP32"],"shape":[1],"data":[1]}]}',
        b'{"outputs":[{"name":"y","datatype":"BYTES","shape":[1],"data":["one"]}]}',
        b'{"outputs":[{"name":"y","datatype":"FP32","shape":[-1,99999999999],"data":[1]}]}',
        b'{"outputs":[{"name":"y","datatype":"INT8","shape":[1],"data":[99999999999999999999]}]}',
        b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"parameters":7}]}',
        b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}abc',
    ],
)
def test_whatever_a_server_says_is_a_wrong_answer_and_no_fault(answer: bytes) -> None:
    payload = Payload(b"", expected={"y": np.array([1], np.float32)})
    assert Answers().check(payload, answer, grpc=False).startswith("wrong answer: can't be read: ")
    assert Answers().check(payload, b"\xff" + answer, grpc=True).startswith("wrong answer: can't be read: ")
    with suppress(NotAnAnswer):
        check_named(answer, ["y"])


def test_an_error_of_a_thousand_brackets_has_its_beginning() -> None:
    assert error_words(b"[" * 100_000) == "[" * 200
