"""Messages that are written and read by hand, beside the protobuf library's."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from tritonforge.client.grpc.message import from_message, to_message
from tritonforge.client.grpc.wire import parse_response, serialize_request
from tritonforge.client.message import Kind, Request, Tensor

NAMES = st.text(max_size=200)
TENSORS = st.builds(
    Tensor,
    NAMES,
    st.sampled_from(["FP32", "BYTES"]),
    st.tuples(st.integers(0, 2**40)),
    st.binary(max_size=300),
    st.none(),
)


@given(
    st.builds(
        Request,
        NAMES,
        st.lists(TENSORS, max_size=3).map(tuple),
        version=NAMES,
        outputs=st.lists(NAMES, max_size=2).map(tuple),
        id=NAMES,
        parameters=st.dictionaries(NAMES, st.one_of(st.booleans(), st.integers(-5, 5), NAMES), max_size=1),
        top=st.just({}),
        into=st.just({}),
        kind=st.none(),
    )
)
def test_a_request_is_what_the_library_would_read(request):
    assert pb.ModelInferRequest.FromString(serialize_request(request)) == to_message(request)


@given(NAMES, st.lists(TENSORS, max_size=3).map(tuple), NAMES, st.lists(NAMES, max_size=2).map(tuple))
def test_a_request_of_a_kind_is_written_as_any_other(model, tensors, version, outputs):
    request = Request(model, tensors, version, outputs)
    kind = Kind(tuple(tensor[:3] for tensor in request.inputs), sum(len(tensor.data) for tensor in request.inputs))
    assert serialize_request(request._replace(kind=kind)) == serialize_request(request)


@given(NAMES, NAMES, NAMES, st.lists(TENSORS, max_size=3), st.dictionaries(NAMES, st.booleans(), max_size=1))
def test_a_response_is_read_as_by_the_library(model, version, answered, tensors, parameters):
    message = pb.ModelInferResponse(model_name=model, model_version=version, id=answered)
    for tensor in tensors:
        message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        message.raw_output_contents.append(tensor.data)
    for name, value in parameters.items():
        message.parameters[name].bool_param = value
    assert parse_response(message.SerializeToString()) == from_message(message)


@pytest.mark.parametrize(
    "data", [b"\x0a\x05m", b"\xff\xff", b"garbage", b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
)
def test_what_is_no_response_raises_what_is_caught(data):
    with pytest.raises((ValueError, DecodeError)):
        parse_response(data)
