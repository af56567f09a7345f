"""Which arrays in a GPU's memory are made, and which calls take them as inputs and as places of outputs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tritonforge.client import Client, CudaArray, InferenceFailed, InvalidRequest, ServerUnavailable
from tritonforge.client.call import to_wire
from tritonforge.ir import Signature, TensorSpec

from .cuda_server import ROWS, SHAPES, URL, CudaServer, markers


@pytest.fixture
def server(cuda_server: CudaServer) -> CudaServer:
    return cuda_server


@pytest.fixture
def client(cuda_client: Client) -> Client:
    return cuda_client


class Doubled:
    """A definition whose input has one value a row."""

    name = "m"
    signature = Signature((TensorSpec("x", "FP32", (3,)),), (TensorSpec("y", "FP32", (3,)),), batched=True)

    def wrap(self, outputs: dict[str, Any]) -> Any:
        return outputs["y"]


def test_it_goes_through_definitions_maps_and_casts(client):
    with client.cuda_shared(0, **SHAPES) as arrays:
        arrays["x"].copy_from(ROWS)
        assert np.array_equal(client.call(Doubled(), arrays["x"]), ROWS * 2)
        assert np.array_equal(client.infer("m", x=arrays["x"], cast="exact").y, ROWS * 2)
        assert np.array_equal(client.map("m", {"x": arrays["x"]}, batch_size=3).merge().y, ROWS * 2)
        assert np.array_equal(client.map("m", arrays["x"], batch_size=3).merge().y, ROWS * 2)


def test_one_value_a_row_has_a_dimension_more_on_the_wire(client):
    signature = Signature((TensorSpec("x", "FP32", ()),), (), batched=True)
    with client.cuda_shared(0, x=((4,), np.float32)) as arrays:
        assert to_wire(signature, (arrays["x"],), {})["x"].shape == (4, 1)


def test_it_is_checked_as_other_arrays_are(client, server):
    shapes = {"ints": ((4, 3), np.int32), "flat": ((12,), np.float32), "wide": ((4, 4), np.float32)}
    found = {
        "ints": r'input "x": INT32\[4, 3\] given, FP32\[batch, 3\] wanted$',
        "flat": r'input "x": FP32\[12\] given, FP32\[batch, 3\] wanted: 1 dimensions, not 2$',
        "wide": r'input "x": FP32\[4, 4\] given, FP32\[batch, 3\] wanted: dimension 1 is 4, not 3$',
    }
    with client.cuda_shared(0, **shapes) as arrays:
        for name, message in found.items():
            with pytest.raises(InvalidRequest) as caught:
                client.infer("m", x=arrays[name])
            assert re.search(message, caught.value.reason.splitlines()[0])
        for name in ("ints", "flat"):
            with pytest.raises(InvalidRequest):
                client.infer("m", x=arrays[name], cast="round")
    assert not server.inferences


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda arrays: ROWS, TypeError, r"into is a ndarray; .* in inputs=\{\"into\": …\}"),
        (lambda arrays: {"y": ROWS}, TypeError, r'into\["y"\] is a ndarray; it takes a CudaArray'),
        (lambda arrays: {"y": arrays["y"].view(np.int32)}, InvalidRequest, r'into\["y"\] is INT32\[8, 3\]; the output'),
        (lambda arrays: {"z": arrays["y"]}, InvalidRequest, 'there is no output "z"; there are: y, rows'),
        (lambda arrays: {"y": arrays["y"], "rows": arrays["y"]}, ValueError, "a part of their memory in common"),
    ],
)
def test_places_that_no_output_can_have_are_refused(client, server, make, error, message):
    with client.cuda_shared(0, **SHAPES) as arrays, pytest.raises(error, match=message):
        client.infer("m", x=arrays["x"], into=make(arrays))
    assert not server.inferences


def test_an_output_is_in_top_or_in_into(client):
    told = pytest.raises(ValueError, match='the output "y" is in top and in into')
    with client.cuda_shared(0, **SHAPES) as arrays, told:
        client.infer("m", x=ROWS, top={"y": 1}, into={"y": arrays["y"]})


def test_an_input_may_be_named_into(client):
    with pytest.raises(InvalidRequest, match='no input "into"; into= is an option of infer'):
        client.infer("m", {"into": ROWS}, x=ROWS)


def test_asked_for_some_outputs_those_of_into_come_too(client, server):
    with client.cuda_shared(0, **SHAPES, rows=((8, 1), np.int64)) as arrays:
        result = client.infer("m", x=ROWS, outputs=["rows"], into={"y": arrays["y"]})
        assert list(result.outputs) == ["rows", "y"]
        del result
        result = client.infer("m", x=ROWS, into={"rows": arrays["rows"], "y": arrays["y"]})
        assert all(isinstance(output, CudaArray) for output in result)
        del result


def test_an_output_larger_than_its_place_fails_with_the_servers_words(client):
    with client.cuda_shared(0, **SHAPES) as arrays, pytest.raises(InferenceFailed, match="at least 48 bytes"):
        client.infer("m", x=ROWS, into={"y": arrays["y"][:2]})


def test_an_answer_with_the_output_itself_is_told(client, server):
    server.given = b"1234"
    told = pytest.raises(ServerUnavailable, match="it has the output 'y' itself")
    with client.cuda_shared(0, **SHAPES) as arrays, told:
        client.infer("m", x=ROWS, into={"y": arrays["y"]})


def test_after_its_block_it_is_no_input(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays:
        pass
    with pytest.raises(InvalidRequest, match=r'input "x": its block, .* has ended'):
        client.infer("m", x=arrays["x"])
    with pytest.raises(InvalidRequest, match=r'into\["y"\]: its block, .* has ended'):
        client.infer("m", x=ROWS, into={"y": arrays["y"]})
    del arrays
    assert not server.inferences


@pytest.mark.parametrize(
    ("url", "message"), [("http://127.0.0.1:8001", f"of the client of {URL}"), (URL, "of another client's cuda_shared")]
)
def test_it_is_for_the_client_that_made_it(client, server, url, message):
    with client.cuda_shared(0, **SHAPES) as arrays:
        server.url = url
        with Client(url) as other, pytest.raises(InvalidRequest, match=message):
            other.infer("m", x=arrays["x"])
    assert not server.inferences


def test_streams_and_replays_do_not_take_it(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays:
        with pytest.raises(InvalidRequest, match=r'input "x" is a CudaArray: streams .* numpy\(\) copies it'):
            next(client.stream("m", x=arrays["x"]))
        with client.sequence("m", replay=True) as steps, pytest.raises(TypeError, match="which replay=True can't keep"):
            steps.infer(x=arrays["x"])
    assert not server.inferences


@pytest.mark.parametrize(
    ("device", "shapes", "error", "message"),
    [
        (1, SHAPES, ValueError, "there is no CUDA device 1"),
        ("cuda:0", SHAPES, TypeError, "device is 'cuda:0'; it takes a whole number"),
        (0, {"x": ((1 << 30,), np.uint8)}, OSError, "CUDA device 0 has no room"),
        (0, {"x": ((-1,), np.uint8)}, ValueError, "a fixed size, with no -1"),
        (0, {"x": ((3,), object)}, ValueError, "shared arrays hold numbers"),
        (0, {"x": ((3,), np.complex64)}, ValueError, "x: complex64 is no type of Triton's"),
        (0, {"x": ((3,), ">f4")}, ValueError, "x: >f4 is no type of Triton's"),
    ],
)
def test_arrays_that_can_not_be_made_are_told(client, device, shapes, error, message):
    with pytest.raises(error, match=message), client.cuda_shared(device, **shapes):
        pass
    assert not markers()


@pytest.mark.parametrize(
    ("url", "message"),
    [("http://192.0.2.1", "for a server on this machine"), ([URL, "http://192.0.2.1"], "on this machine alone")],
)
def test_all_servers_have_to_be_on_this_machine(gpu, url, message):
    with Client(url) as client, pytest.raises(ValueError, match=message), client.cuda_shared(0, **SHAPES):
        pass
