"""Requests like an earlier one: what is looked up for them, and what never is."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from tritonforge.client import Client, InferenceFailed, InvalidRequest
from tritonforge.client.metadata import read_served_model
from tritonforge.client.tensors.kinds import Known, form_of

from .fault_server import ANSWER, FaultServer, Peer

METADATA = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}, {"name": "t", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}, {"name": "z", "datatype": "FP32", "shape": [-1]}],
}
CONFIG = {"max_batch_size": 4, "input": [{"name": "t", "optional": True}]}
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def known() -> Known:
    return Known(read_served_model(METADATA, CONFIG))


def learnt(inputs, outputs=()):
    model, form = known(), form_of(inputs, outputs)
    model.learn(form, inputs)
    return model.kinds.get(form)


def test_a_kind_is_found_by_names_dtypes_shapes_and_outputs():
    model = known()
    model.learn(form_of({"x": X}, ()), {"x": X})
    kind = model.kinds.get(form_of({"x": X + 1}, ()))
    assert kind is not None
    assert (kind.tensors, kind.size) == ((("x", "FP32", (2, 3)),), X.nbytes)
    others = [{"x": X[:1]}, {"x": X.astype(np.float64)}, {"x": X.astype(">f4")}, {"y": X}, {"x": X, "y": X}, {}]
    assert not any(model.kinds.get(form_of(inputs, ())) for inputs in others)
    assert model.kinds.get(form_of({"x": X}, ("y",))) is None


@pytest.mark.parametrize(
    "array", [X.tolist(), None, np.ma.masked_array(X), X.view(np.recarray)], ids=["list", "none", "masked", "subclass"]
)
def test_what_is_no_plain_array_is_checked_each_time(array):
    assert form_of({"x": array}, ()) is None


def test_what_is_not_sent_as_it_lies_there_is_of_no_kind():
    assert learnt({"x": X.astype(">f4")}) is None
    assert learnt({"x": X, "t": np.array([b"a", b"b"], object)}) is None
    assert learnt({"x": X, "t": np.array([b"a", b"b"])}) is None


@pytest.mark.parametrize("later", ["FP32", "INT32"])
def test_an_answer_is_judged_by_the_datatypes_of_a_model_that_has_changed(later):
    described = []

    def serve(peer: Peer) -> None:
        """Answer FP32 where the model's metadata say INT32, at first or always."""
        while request := peer.request():
            if request.startswith(b"GET /v2/models/m HTTP"):
                described.append("INT32" if not described else later)
                body = {
                    "name": "m",
                    "inputs": [{"name": "x", "datatype": "FP32", "shape": [2]}],
                    "outputs": [{"name": "y", "datatype": described[-1], "shape": [2]}],
                }
                text = json.dumps(body).encode()
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
            else:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" if b"/config" in request else ANSWER)

    x = np.array([1, 2], np.float32)
    with FaultServer(serve) as server, Client(server.url) as client:
        if later == "FP32":
            assert [client.infer("m", x=x).y.dtype for _ in range(3)] == [np.float32] * 3
            assert described == ["INT32", "FP32"]
        else:
            with pytest.raises(InferenceFailed, match="its output 'y' is FP32, and declared as INT32"):
                client.infer("m", x=x)


def test_a_type_that_numpy_has_not_is_of_a_kind_too():
    metadata = {**METADATA, "inputs": [{"name": "x", "datatype": "BF16", "shape": [-1, 3]}]}
    model, inputs = Known(read_served_model(metadata, CONFIG)), {"x": X.astype(ml_dtypes.bfloat16)}
    model.learn(form_of(inputs, ()), inputs)
    assert model.kinds.get(form_of(inputs, ())) is not None


def serve(sent: list[bytes], metadata: list[dict] | None = None):
    """Answer what a client asks of the model, and keep the inferences as they came."""
    told = list(metadata or [METADATA])

    def behave(peer: Peer) -> None:
        while request := peer.request():
            if b"/infer" in request:
                sent.append(request)
                peer.send(ANSWER)
            else:
                answer = CONFIG if b"/config" in request else told.pop(0) if len(told) > 1 else told[0]
                body = json.dumps(answer).encode()
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return behave


def parts(request: bytes) -> tuple[bytes, dict, bytes]:
    """Give the head of a request, its JSON, and the tensors' bytes."""
    head, _, body = request.partition(b"\r\n\r\n")
    size = int(head.lower().split(b"inference-header-content-length: ")[1].split(b"\r\n")[0])
    return head, json.loads(body[:size]), body[size:]


def test_a_second_request_differs_in_its_data_alone():
    sent: list[bytes] = []
    with FaultServer(serve(sent)) as server, Client(server.url, tracing=False) as client:
        for factor in (1, 2, 3):
            client.infer("m", x=X * np.float32(factor))
        client.infer("m", x=X.T.copy().T)  # of another layout in memory
    assert [parts(request)[:2] for request in sent] == [parts(sent[0])[:2]] * 4
    assert [parts(request)[2] for request in sent] == [(X * factor).tobytes() for factor in (1, 2, 3, 1)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"request_id": "r-7"}, {"id": "r-7"}),
        ({"parameters": {"tenant": "a"}}, {"parameters": {"binary_data_output": True, "tenant": "a"}}),
        ({"outputs": ["y"]}, {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}),
        ({"sequence_id": 3}, {"parameters": {"binary_data_output": True, "sequence_id": 3}}),
    ],
    ids=["id", "parameters", "outputs", "sequence"],
)
def test_what_a_request_says_beside_its_arrays_is_never_left_out(options, wanted):
    sent: list[bytes] = []
    with FaultServer(serve(sent)) as server, Client(server.url, tracing=False) as client:
        for more in ({}, {}, options, {}):
            client.infer("m", x=X, **more)
    plain = parts(sent[0])[1]
    headers = [parts(request)[1] for request in sent]
    assert headers[:2] == [plain, plain]
    assert headers[3] == plain
    assert headers[2] == {**headers[2], **wanted}
    assert headers[2] != plain


def test_classes_are_asked_for_after_a_like_request():
    sent: list[bytes] = []
    with FaultServer(serve(sent)) as server, Client(server.url, tracing=False) as client:
        client.infer("m", x=X, outputs=["y"])
        with pytest.raises(InferenceFailed, match="classification"):  # the server of this test answers with a tensor
            client.infer("m", x=X, outputs=["y"], top={"y": 2})
    assert parts(sent[1])[1]["outputs"] == [{"name": "y", "parameters": {"binary_data": True, "classification": 2}}]


def test_a_wrong_array_after_right_ones_is_refused_and_nothing_is_sent():
    sent: list[bytes] = []
    with FaultServer(serve(sent)) as server, Client(server.url, tracing=False) as client:
        client.infer("m", x=X)
        for wrong in (X[:, :2], X.astype(np.float64), np.zeros((5, 3), np.float32), X.tolist()):
            with pytest.raises(InvalidRequest):
                client.infer("m", x=wrong)
        with pytest.raises(InvalidRequest, match='no input "y"'):
            client.infer("m", x=X, y=X)
    assert len(sent) == 1


def test_a_model_that_has_changed_forgets_the_kinds():
    wider = {**METADATA, "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]}
    sent: list[bytes] = []
    with FaultServer(serve(sent, [METADATA, wider])) as server, Client(server.url, tracing=False) as client:
        client.infer("m", x=X)
        client.describe("m")
        with pytest.raises(InvalidRequest, match="dimension 1 is 3, not 4"):
            client.infer("m", x=X)
    assert len(sent) == 1
