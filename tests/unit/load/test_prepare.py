"""Prepared requests, read back by others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tritonforge.load.address import parse_address
from tritonforge.load.errors import InvalidLoad
from tritonforge.load.input.generate import prepare_generate
from tritonforge.load.input.prepare import Region, Wanted, prepare
from tritonforge.load.links.stream_message import only_ends, stream_error
from tritonforge.load.links.varint import varint

INPUTS: dict[str, tuple[str, Any]] = {
    "x": ("FP32", np.array([[1.5, 2.5]], np.float32)),
    "words": ("BYTES", np.array([["a", "bé"]], object)),
}


PARAMETERS: dict[str, bool | int | float | str] = {"tenant": "4000000000", "top": -3, "share": 1.0, "raw": True}
"""A text among them that looks like the place of a sequence's number."""


def http(data: bytes) -> tuple[list[str], dict[str, Any], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    size = int(fields.get("Inference-Header-Content-Length", fields["Content-Length"]))
    assert int(fields["Content-Length"]) == len(body)
    return lines, json.loads(body[:size]), body[size:]


def test_http_with_binary_tensors() -> None:
    wanted = Wanted(parse_address("http://host:1/below"), "a model", "3", headers=(("Authorization", "me"),))
    lines, request, tail = http(prepare(wanted, INPUTS).data)
    assert lines[0] == "POST /below/v2/models/a%20model/versions/3/infer HTTP/1.1"
    assert "Authorization: me" in lines
    assert request["parameters"] == {"binary_data_output": True}
    assert [entry["parameters"]["binary_data_size"] for entry in request["inputs"]] == [8, 12]
    assert tail == np.array([1.5, 2.5], "<f4").tobytes() + b"\1\0\0\0a\3\0\0\0b\xc3\xa9"


def test_http_with_json_tensors() -> None:
    wanted = Wanted(parse_address("http://host:1"), "m", body="json")
    lines, request, tail = http(prepare(wanted, INPUTS).data)
    assert "Content-Type: application/json" in lines
    assert [entry["data"] for entry in request["inputs"]] == [[1.5, 2.5], ["a", "bé"]]
    assert tail == b""


def test_a_content_type_of_the_users_own_is_the_only_one() -> None:
    own = Wanted(parse_address("http://host:1"), "m", body="json", headers=(("content-type", "text/plain"),))
    lines, _, _ = http(prepare(own, INPUTS).data)
    assert [line for line in lines if line.lower().startswith("content-type")] == ["content-type: text/plain"]


def test_http_by_shared_memory() -> None:
    wanted = Wanted(parse_address("http://host:1"), "m")
    regions = {"x": Region("r", 0, 8), "words": Region("r", 8, 12)}
    _, request, tail = http(prepare(wanted, INPUTS, regions=regions).data)
    assert request["inputs"][1]["parameters"] == {
        "shared_memory_region": "r",
        "shared_memory_offset": 8,
        "shared_memory_byte_size": 12,
    }
    assert tail == b""


@pytest.mark.parametrize("number", [1_000_000_000, 4_000_000_000, 9_999_999_999])
def test_a_sequences_number_and_flags_are_put_in(number: int) -> None:
    payload = prepare(Wanted(parse_address("http://host:1"), "m", sequence_length=5), INPUTS)
    flags = []
    for before, after in payload.parts:
        _, request, _ = http(before + b"%d" % number + after)
        assert request["parameters"]["sequence_id"] == number
        flags.append((request["parameters"]["sequence_start"], request["parameters"]["sequence_end"]))
    assert flags == [(True, False), (False, False), (False, True), (True, True)]


@pytest.mark.parametrize("number", [1_000_000_000, 4_000_000_000, 9_999_999_999])
def test_grpc_messages_of_sequences(number: int) -> None:
    payload = prepare(Wanted(parse_address("grpc://host:1"), "m", "2", sequence_length=5), INPUTS)
    for (before, after), first, last in zip(payload.parts, (1, 0, 0, 1), (0, 0, 1, 1), strict=True):
        message = service_pb2.ModelInferRequest.FromString(before + varint(number) + after)
        assert (message.model_name, message.model_version) == ("m", "2")
        assert message.parameters["sequence_id"].int64_param == number
        assert message.parameters["sequence_start"].bool_param == bool(first)
        assert message.parameters["sequence_end"].bool_param == bool(last)
        assert [tensor.name for tensor in message.inputs] == ["x", "words"]
        assert len(message.raw_input_contents) == 2


def test_bytes_that_json_can_not_hold_are_refused() -> None:
    wanted = Wanted(parse_address("http://host:1"), "m", body="json")
    array = np.array([b"a", b"\xff\x00"], object)
    with pytest.raises(InvalidLoad, match=r'input "x" has bytes that are not UTF-8, .*: b.\\xff\\x00.; send them'):
        prepare(wanted, {"x": ("BYTES", array)})
    assert b"\xff\x00" in prepare(replace(wanted, body="binary"), {"x": ("BYTES", array)}).data


@pytest.mark.parametrize("body", ["binary", "json"])
def test_parameters_go_with_each_request_over_http(body: Literal["binary", "json"]) -> None:
    wanted = Wanted(parse_address("http://host:1"), "m", body=body, parameters=PARAMETERS)
    own = {"binary_data_output": True} if body == "binary" else {}
    _, request, _ = http(prepare(wanted, INPUTS).data)
    assert repr(sorted(request["parameters"].items())) == repr(sorted((own | PARAMETERS).items()))  # 1 is true, and 1.0
    for before, after in prepare(replace(wanted, sequence_length=5), INPUTS).parts:
        _, request, _ = http(before + b"1234567890" + after)
        assert request["parameters"].pop("sequence_id") == 1_234_567_890
        assert {name: request["parameters"][name] for name in own | PARAMETERS} == own | PARAMETERS
        assert len(request["parameters"]) == len(own) + len(PARAMETERS) + 2


def test_parameters_go_with_each_request_over_grpc() -> None:
    wanted = Wanted(parse_address("grpc://host:1"), "m", parameters=PARAMETERS)
    sequence = prepare(replace(wanted, sequence_length=5), INPUTS)
    messages = [before + varint(4_000_000_000) + after for before, after in sequence.parts]
    for data in (prepare(wanted, INPUTS).data, *messages):
        found = service_pb2.ModelInferRequest.FromString(data).parameters
        assert found["tenant"].string_param == "4000000000"
        assert found["top"].int64_param == -3
        assert found["share"].WhichOneof("parameter_choice") == "double_param"
        assert found["raw"].WhichOneof("parameter_choice") == "bool_param"
        assert data not in messages or found["sequence_id"].int64_param == 4_000_000_000


def test_parameters_of_streams_over_http_stand_beside_the_inputs() -> None:
    wanted = Wanted(parse_address("http://host:1"), "m", stream=True, parameters=PARAMETERS)
    _, request, _ = http(prepare_generate(wanted, INPUTS).data)
    assert request == {"x": [1.5, 2.5], "words": ["a", "bé"], "parameters": PARAMETERS}


def test_errors_of_streams_are_found_in_their_messages() -> None:
    wrong = service_pb2.ModelStreamInferResponse(error_message="é" * 80 + "!")
    right = service_pb2.ModelStreamInferResponse(infer_response=service_pb2.ModelInferResponse(model_name="m"))
    assert stream_error(wrong.SerializeToString()) == "stream: " + "é" * 80 + "!"
    assert stream_error(right.SerializeToString()) == ""
    assert stream_error(b"") == ""


@pytest.mark.parametrize("final", [True, False, None])
@pytest.mark.parametrize("outputs", [0, 2])
def test_a_last_message_without_outputs_only_ends_a_stream(final: bool | None, outputs: int) -> None:
    """Whatever it says besides; the last one may have outputs, and one without any may not be the last."""
    message = service_pb2.ModelStreamInferResponse()
    response = message.infer_response
    response.model_name, response.model_version, response.id = "m" * 200, "1", "*"
    response.parameters["other"].string_param = "x"
    if final is not None:
        response.parameters["triton_final_response"].bool_param = final
    for number in range(outputs):
        response.outputs.add(name=f"y{number}", datatype="FP32", shape=[1])
        response.raw_output_contents.append(b"0123")
    assert only_ends(message.SerializeToString()) is (final is True and not outputs)


def test_outputs_are_asked_for_in_their_regions() -> None:
    outputs = {"y": Region("r", 8, 16), "z": None}
    http, grpc = (
        prepare(Wanted(parse_address(f"{name}://host:1"), "m"), INPUTS, outputs=outputs) for name in ("http", "grpc")
    )
    asked = json.JSONDecoder().raw_decode(http.data.partition(b"\r\n\r\n")[2].decode("latin-1"))[0]["outputs"]
    region = {"shared_memory_region": "r", "shared_memory_offset": 8, "shared_memory_byte_size": 16}
    assert asked == [{"name": "y", "parameters": region}, {"name": "z", "parameters": {"binary_data": True}}]
    message = service_pb2.ModelInferRequest.FromString(grpc.data)
    assert [output.name for output in message.outputs] == ["y", "z"]
    assert message.outputs[0].parameters["shared_memory_region"].string_param == "r"
    assert message.outputs[0].parameters["shared_memory_byte_size"].int64_param == 16
    assert not message.outputs[1].parameters
