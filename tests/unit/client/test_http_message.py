"""The bodies of inference over HTTP."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tritonforge.client.http.message import read_response, usual_of, write_request
from tritonforge.client.message import Request, Tensor
from tritonforge.client.tensors.wire import decode


def body(header, data=b""):
    text = json.dumps(header).encode()
    return text + data, len(text)


def output(name, datatype, shape, **rest):
    return {"name": name, "datatype": datatype, "shape": shape, **rest}


def test_a_request_is_json_with_all_that_was_asked():
    tensor = Tensor('a "b" ü', "FP32", (1, 2), b"12345678")
    request = Request("m", (tensor,), outputs=("y",), id='i"d', parameters={"priority": 2, "flag": True, "s": "x"})
    assert json.loads(write_request(request)) == {
        "id": 'i"d',
        "parameters": {"binary_data_output": True, "priority": 2, "flag": True, "s": "x"},
        "inputs": [
            {"name": 'a "b" ü', "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
    }


def test_a_request_may_be_bare():
    assert json.loads(write_request(Request("m", ()))) == {"parameters": {"binary_data_output": True}, "inputs": []}


def test_a_response_is_cut_into_its_tensors():
    header = {
        "model_name": "m",
        "model_version": "1",
        "id": "x",
        "parameters": {"p": 1},
        "outputs": [
            output("a", "INT8", [3], parameters={"binary_data_size": 3}),
            output("none", "INT8", [0], parameters={"binary_data_size": 0}),
            output("b", "INT16", [1], parameters={"binary_data_size": 2}),
        ],
    }
    response = read_response(*body(header, b"\1\2\3\4\0"))
    assert (response.model, response.version, response.id, response.parameters) == ("m", "1", "x", {"p": 1})
    assert [(tensor.name, bytes(tensor.data)) for tensor in response.outputs] == [
        ("a", b"\1\2\3"),
        ("none", b""),
        ("b", b"\4\0"),
    ]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "wanted"),
    [
        ("FP32", [2, 2], [1, 2, 3, 4], np.array([[1, 2], [3, 4]], np.float32)),
        ("INT64", [2, 2], [[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        ("BOOL", [2], [True, False], np.array([True, False])),
        ("BYTES", [2], ["a", "ü"], np.array([b"a", "ü".encode()], object)),
        ("UINT64", [2], [1, 2**64 - 1], np.array([1, 2**64 - 1], np.uint64)),
        ("INT8", [2], [1.0, -128], np.array([1, -128], np.int8)),
        ("FP32", [0], [], np.array([], np.float32)),
    ],
)
def test_a_server_that_sends_json_all_the_same_is_understood(datatype, shape, data, wanted):
    content, _ = body({"model_name": "m", "outputs": [output("y", datatype, shape, data=data)]})
    (tensor,) = read_response(content, None).outputs
    array = decode(tensor.datatype, tensor.shape, tensor.data)
    assert array.dtype == wanted.dtype
    assert np.array_equal(array, wanted)


@pytest.mark.parametrize(
    ("datatype", "number"),
    [
        *(("FP32", 1e300), ("FP16", 70_000.0), ("INT8", 300), ("UINT8", -1), ("INT64", 1 << 70), ("INT32", 1.5)),
        ("INT64", True),
    ],
)
def test_a_number_in_json_that_its_datatype_can_not_hold_is_refused(datatype, number):
    content, _ = body({"model_name": "m", "outputs": [output("y", datatype, [2], data=[0, number])]})
    with pytest.raises(ValueError, match=f"output 'y' has a number that {datatype} can't hold"):
        read_response(content, None)


@pytest.mark.parametrize(("datatype", "text"), [("FP32", "1.5"), ("BOOL", "false"), ("INT32", "1"), ("BF16", "1")])
def test_a_text_in_json_is_no_number(datatype, text):
    content, _ = body({"model_name": "m", "outputs": [output("y", datatype, [2], data=[0, text])]})
    with pytest.raises(ValueError, match="output 'y' has a text among its numbers"):
        read_response(content, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"[]",
        b"{}",
        b'{"model_name": "m", "outputs": [{}]}',
        b'{"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [1]}]}',
        b'{"model_name": "m", "outputs": 5}',
        b'{"model_name": "m", "outputs": {}}',
        json.dumps({"model_name": "m", "outputs": [output("y", "FP32", [3], data=[[1, 2], [3]])]}).encode(),
        json.dumps({"outputs": [output("y", "FP32", [1], parameters={"binary_data_size": 4})]}).encode(),
        json.dumps(
            {"model_name": "m", "outputs": [output("y", "FP32", [1], parameters={"binary_data_size": -4})]}
        ).encode(),
        json.dumps({"model_name": "m", "outputs": [output("y", "FP9", [1], data=[1])]}).encode(),
        b"\xff\xfe",
    ],
)
def test_what_is_no_response_raises_one_of_the_errors_that_are_caught(content):
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        read_response(content, None)


@pytest.mark.parametrize("more", [{}, {"parameters": {"p": 1}}])  # the latter is no plain one
@pytest.mark.parametrize("data", [b"\1\2\3\4\0", b"\1\2\3\4\0\6\7"])
def test_a_body_has_the_bytes_of_its_outputs_and_no_others(data, more):
    outputs = [
        output("a", "INT8", [3], parameters={"binary_data_size": 3}),
        output("b", "INT8", [3], parameters={"binary_data_size": 3}),
    ]
    content, size = body({"model_name": "m", "outputs": outputs, **more}, data)
    with pytest.raises(ValueError, match=r"has 3 bytes, but 2 are left|have 6 bytes together, and [57] came"):
        read_response(content, size)
    assert usual_of(content, size) is None


@pytest.mark.parametrize("size", [-1, 10**6])
def test_a_header_length_outside_the_body_is_refused(size):
    with pytest.raises(ValueError, match="JSON header"):
        read_response(b"{}", size)


@pytest.mark.parametrize("shape", [["2"], [[2]], [2.0], [None], [True]])
def test_a_shape_of_anything_but_whole_numbers_is_refused(shape):
    content, size = body(
        {"model_name": "m", "outputs": [output("y", "INT8", shape, parameters={"binary_data_size": 2})]}, b"ab"
    )
    with pytest.raises(ValueError, match="shape"):
        read_response(content, size)
