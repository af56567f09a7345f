"""How often a large tensor is copied by us on its way over the wire: not at all over HTTP, once each way over gRPC."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from tritonforge.client.grpc.wire import parse_response, serialize_request
from tritonforge.client.http.answer import read_answer, scratch_memory
from tritonforge.client.http.exchange import HttpExchange
from tritonforge.client.http.message import read_response
from tritonforge.client.message import Request, Tensor
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.tensors.wire import decode, encode
from tritonforge.client.url import parse_url

ROW = np.arange(1 << 20, dtype=np.float32).reshape(1, -1)


def copies(function: Callable[[], Any]) -> tuple[Any, float]:
    """Give what a function gives, and the most memory that it held, in sizes of the tensor."""
    tracemalloc.start()
    try:
        found = function()
        return found, tracemalloc.get_traced_memory()[1] / ROW.nbytes
    finally:
        tracemalloc.stop()


def request() -> Request:
    return Request("m", (Tensor("x", "FP32", ROW.shape, encode(ROW, "FP32")),))


def test_over_http_the_array_itself_is_sent():
    form = HttpExchange(parse_url("http://h"), ConnectionOptions())
    parts, held = copies(lambda: form.write_infer(request()))
    assert held < 0.1
    assert np.shares_memory(np.frombuffer(parts[-1], np.float32), ROW)


def test_over_http_the_answer_is_received_right_into_the_result():
    header = (
        b'{"model_name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[1,1048576],'
        b'"parameters":{"binary_data_size":4194304}}]}'
    )
    head = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (
        len(header),
        len(header) + ROW.nbytes,
    )
    came = memoryview(head + header + ROW.tobytes())

    def receive() -> Any:
        reading, rest = read_answer(scratch_memory()), came
        memory = next(reading)
        while True:
            count = min(len(memory), len(rest))
            memory[:count], rest = rest[:count], rest[count:]
            try:
                memory = reading.send(count)
            except StopIteration as stop:
                response = read_response(stop.value.body, len(header))
                return decode("FP32", ROW.shape, response.outputs[0].data)

    result, held = copies(receive)
    assert np.array_equal(result, ROW)
    assert held < 1.1  # the result


def test_over_grpc_there_is_one_copy_each_way():
    message, held = copies(lambda: serialize_request(request()))
    assert held < 1.1  # the message
    answer = service_pb2.ModelInferResponse(model_name="m", raw_output_contents=[ROW.tobytes()])
    answer.outputs.add(name="y", datatype="FP32", shape=ROW.shape)
    data = answer.SerializeToString()
    result, held = copies(lambda: decode("FP32", ROW.shape, parse_response(data).outputs[0].data))
    assert np.array_equal(result, ROW)
    assert held < 1.1  # the result
    assert len(message) > ROW.nbytes
