"""The gRPC transport against servers that fail, and its messages."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc import model_config_pb2, service_pb2

from tritonforge.client import Client, DeadlineExceeded, ServerUnavailable
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.message import from_message, to_json, to_message
from tritonforge.client.grpc.transport import GrpcTransport
from tritonforge.client.grpc.wire import parse_response
from tritonforge.client.message import Request, Tensor
from tritonforge.client.tensors.wire import decode
from tritonforge.client.url import parse_url
from tritonforge.dtypes import DTYPES

from .fault_server import FaultServer, Peer, free_port, then_close

REQUEST = Request("m", (Tensor("x", "FP32", (2,), memoryview(bytes(8))),), version="2", outputs=("y",), id="i")


def test_a_request_becomes_a_message():
    message = to_message(REQUEST._replace(parameters={"a": True, "b": 1, "c": 1.5, "d": "s"}))
    assert (message.model_name, message.model_version, message.id) == ("m", "2", "i")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in message.inputs] == [("x", "FP32", [2])]
    assert list(message.raw_input_contents) == [bytes(8)]
    assert [output.name for output in message.outputs] == ["y"]
    kinds = {name: parameter.WhichOneof("parameter_choice") for name, parameter in message.parameters.items()}
    assert kinds == {"a": "bool_param", "b": "int64_param", "c": "double_param", "d": "string_param"}


def test_a_message_becomes_a_response():
    message = service_pb2.ModelInferResponse(model_name="m", model_version="1", id="i")
    message.outputs.add(name="y", datatype="INT8", shape=[1, 2])
    message.raw_output_contents.append(b"\1\2")
    message.parameters["last"].bool_param = True
    response = from_message(message)
    assert response.outputs == (Tensor("y", "INT8", (1, 2), b"\1\2"),)
    assert response.parameters == {"last": True}
    del message.raw_output_contents[:]
    with pytest.raises(ValueError, match="1 outputs, but the contents of 0"):
        from_message(message)


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-128, 127]),
        ("UINT16", "uint_contents", [0, 65535]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("FP32", "fp32_contents", [0.5, float("inf")]),
        ("FP64", "fp64_contents", [0.1, 1e300]),
        ("BYTES", "bytes_contents", [b"a", b""]),
    ],
)
def test_typed_contents_are_read(datatype, field, values):
    message = service_pb2.ModelInferResponse(model_name="m")
    getattr(message.outputs.add(name="y", datatype=datatype, shape=[2]).contents, field).extend(values)
    (output,) = parse_response(message.SerializeToString()).outputs
    found = decode(output.datatype, output.shape, output.data)
    assert (found.dtype, found.tolist()) == (DTYPES[datatype].numpy, values)


@pytest.mark.parametrize(("datatype", "words"), [("INT8", "can't hold"), ("FP16", "has no others")])
def test_typed_contents_that_are_no_such_tensor_are_refused(datatype, words):
    message = service_pb2.ModelInferResponse(model_name="m")
    message.outputs.add(name="y", datatype=datatype, shape=[1]).contents.int_contents.append(128)
    with pytest.raises(ValueError, match=words):
        parse_response(message.SerializeToString())


def test_a_configuration_is_worded_as_over_http():
    config = model_config_pb2.ModelConfig(name="m")
    config.input.add(name="x", data_type=model_config_pb2.TYPE_FP32, dims=[-1, 3])
    config.parameters["key"].string_value = "value"
    config.dynamic_batching.max_queue_delay_microseconds = 100
    found = to_json(config)
    assert found["input"][0]["dims"] == [-1, 3]
    assert found["input"][0]["data_type"] == "TYPE_FP32"
    assert found["input"][0]["optional"] is False
    assert found["parameters"] == {"key": {"string_value": "value"}}
    assert found["dynamic_batching"]["max_queue_delay_microseconds"] == 100
    assert found["max_batch_size"] == 0
    assert "sequence_batching" not in found


@pytest.fixture
def closing():
    transports = []

    def make(url):
        transports.append(GrpcTransport(parse_url(url)))
        return transports[-1]

    yield make
    for transport in transports:
        transport.close()


def test_a_server_that_is_down_is_said_to_be_at_once(closing):
    transport = closing(f"grpc://127.0.0.1:{free_port()}")
    with pytest.raises(ServerUnavailable, match=r"m version 2 at grpc://127.*Connection refused"):
        transport.infer(REQUEST, Deadline(20))
    assert Client(transport.url, timeout_s=5).is_ready() is False


@pytest.mark.parametrize("behaviour", [Peer.hold, lambda peer: (peer.send(b"\0\0\0\4\0\0\0\0\0"), peer.hold())])
def test_a_server_that_does_not_answer_ends_in_a_deadline(closing, behaviour):
    with FaultServer(behaviour) as server:
        transport = closing(f"grpc://127.0.0.1:{server.port}")
        with pytest.raises(DeadlineExceeded, match=r"no (answer|connection) within 0\.3 s"):
            transport.infer(REQUEST, Deadline(0.3))
        with pytest.raises(DeadlineExceeded):
            list(transport.stream(REQUEST, Deadline(0.3)))
        transport.close()


def test_an_http_server_is_no_grpc_server(closing):
    with FaultServer(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        transport = closing(f"grpc://127.0.0.1:{server.port}")
        with pytest.raises(ServerUnavailable):
            transport.infer(REQUEST, Deadline(5))
        transport.close()


def test_what_begins_with_anything_but_settings_is_no_grpc_server(closing):
    with FaultServer(lambda peer: (peer.send(b"\x15\x03\x01\0\x02\x02\x46"), peer.hold())) as server:
        transport = closing(f"grpc://127.0.0.1:{server.port}")
        with pytest.raises(ServerUnavailable, match="not HTTP/2") as caught:
            transport.infer(REQUEST, Deadline(20))
        assert not caught.value.sent


def test_a_grpc_server_is_no_http_server():
    with (
        FaultServer(then_close(b"\0\0\x12\4\0\0\0\0\0")) as server,
        Client(server.url) as client,
        pytest.raises(ServerUnavailable, match="this is a gRPC port, not an HTTP one; use the URL grpc://"),
    ):
        client.metadata("m")


def test_a_closed_transport_says_so(closing):
    transport = closing("grpc://127.0.0.1:1")
    transport.close()
    with pytest.raises(RuntimeError, match="closed"):
        transport.infer(REQUEST, Deadline(1))


def test_a_view_of_an_array_is_sent():
    data = np.arange(2, dtype=np.float32).data.cast("B")
    assert to_message(Request("m", (Tensor("x", "FP32", (2,), data),))).raw_input_contents[0] == data.tobytes()
