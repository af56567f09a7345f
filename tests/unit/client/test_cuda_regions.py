"""Calls whose tensors lie in a GPU's memory, which a stand-in for the driver has: what a server is told, and when."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tritonforge.client import (
    AsyncClient,
    Client,
    CudaArray,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ServerUnavailable,
    assembly,
)
from tritonforge.client.errors import Target
from tritonforge.client.grpc.questions import parse_answer, procedure, serialize_question
from tritonforge.client.http.questions import is_answer, request_line
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.segments import PREFIX

from .cuda_server import ROWS, SHAPES, URL, CudaServer, markers

MADE = ["cuda_shared_memory", "register_cuda_shared_memory"]


@pytest.fixture
def server(cuda_server: CudaServer) -> CudaServer:
    return cuda_server


@pytest.fixture
def client(cuda_client: Client) -> Client:
    return cuda_client


def test_inputs_and_outputs_stay_where_they_are(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays:
        arrays["x"].copy_from(ROWS)
        result = client.infer("m", x=arrays["x"], into={"y": arrays["y"]})
        assert isinstance(result.y, CudaArray)
        assert result.y.shape == (4, 3)
        assert np.array_equal(result.y.numpy(), ROWS * 2)
        assert np.array_equal(arrays["y"].numpy()[:4], ROWS * 2)
        assert result.rows.ravel().tolist() == [0, 1, 2, 3]
        assert list(result.outputs) == ["y", "rows"]
        assert repr(result) == "<Result of m version 1: y: FP32[4, 3], rows: INT64[4, 1]>"
        del result
    (request,) = server.inferences
    assert request.inputs[0].data == b""
    assert request.into["y"].offset % 256 == 0
    assert server.asked == [*MADE, "unregister_cuda_shared_memory"]
    assert not server.regions


def test_a_server_is_told_once(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays:
        for rows in (4, 2, 1):
            assert client.infer("m", x=arrays["x"][:rows]).y.shape == (rows, 3)
        assert server.asked == MADE
    assert not any(request.kind for request in server.inferences)


def test_arrays_of_both_kinds_of_memory_go_together(client):
    with client.cuda_shared(0, **SHAPES) as arrays:
        result = client.infer("m", x=ROWS, into={"y": arrays["y"]})
        assert np.array_equal(result.y.numpy(), ROWS * 2)
        del result
        arrays["x"].copy_from(ROWS)
        assert np.array_equal(client.infer("m", x=arrays["x"]).y, ROWS * 2)


def test_results_outlive_their_block_and_the_client(gpu, server):
    with Client(URL) as client, client.cuda_shared(0, **SHAPES) as arrays:
        arrays["x"].copy_from(ROWS)
        y = client.infer("m", x=arrays["x"], into={"y": arrays["y"]}).y
        del arrays
    gc.collect()
    assert np.array_equal(y.numpy(), ROWS * 2)
    assert not markers()
    del y
    gc.collect()
    assert not gpu.memory


def test_closing_the_client_within_a_block_has_the_server_let_go(gpu, server):
    client = Client(URL)
    with client.cuda_shared(0, **SHAPES) as arrays:
        client.infer("m", x=arrays["x"])
        client.close()
        assert not server.regions
        assert server.asked[-2:] == ["unregister_cuda_shared_memory", "close"]
    assert server.asked.count("unregister_cuda_shared_memory") == 1


def test_memory_that_a_request_uses_still_is_let_go_of_later(client, server):
    """As after a call that was given up: Triton refuses, and is asked again with the next memory, and at the end."""
    with client.cuda_shared(0, **SHAPES) as arrays:
        client.infer("m", x=arrays["x"])
        server.in_use = True
        del arrays
    assert len(server.regions) == 1
    server.in_use = False
    with client.cuda_shared(0, **SHAPES) as arrays:
        client.infer("m", x=arrays["x"])
        assert len(server.regions) == 1
        del arrays
    assert not server.regions


def test_a_server_that_has_started_anew_is_told_again(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays:
        for _ in range(2):
            client.infer("m", x=arrays["x"], into={"y": arrays["y"]})
        server.regions.clear()
        client.infer("m", x=arrays["x"], into={"y": arrays["y"]})
        assert len(server.inferences) == 4
        assert server.asked == [*MADE, MADE[1]]


def test_a_sequence_goes_on_where_memory_is_told_again(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays, client.sequence("m") as steps:
        steps.infer(x=arrays["x"])
        server.regions.clear()
        assert steps.infer(x=arrays["x"], end=True).y.shape == (4, 3)


@pytest.mark.parametrize("known", [InvalidRequest, InferenceFailed], ids=["http", "grpc"])
def test_memory_that_the_server_knows_already_is_used(client, server, known):
    server.known = known
    with client.cuda_shared(0, **SHAPES) as arrays:
        client.infer("m", x=arrays["x"])
        client._assembly.shared[0].cuda._registered.clear()  # as where the answer to the registration was lost
        assert client.infer("m", x=arrays["x"]).y.shape == (4, 3)


def test_a_server_that_can_not_map_it_fails_the_call_with_its_words(client, server):
    server.refusal = InvalidRequest("failed to register shared memory region: invalid args", Target(URL, "r"))
    with client.cuda_shared(0, **SHAPES) as arrays:
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="region: invalid args; it needs a GPU, on this machine") as caught:
                client.infer("m", x=arrays["x"], request_id="7")
            assert caught.value.target == Target(URL, "m", "", "7")
        with pytest.raises(InvalidRequest, match="can't map this GPU's memory"):
            client.infer("m", x=ROWS, into={"y": arrays["y"]})
        assert client.infer("m", x=ROWS).y.shape == (4, 3)
    assert all(request.inputs[0].data for request in server.inferences)


@pytest.mark.parametrize("kind", [ServerUnavailable, DeadlineExceeded])
def test_a_server_that_does_not_answer_a_registration_was_sent_nothing(client, server, kind):
    server.refusal = kind("no answer", Target(URL, "a region"))
    with client.cuda_shared(0, **SHAPES) as arrays, pytest.raises(kind) as caught:
        client.infer("m", x=arrays["x"], timeout_s=1)
    assert caught.value.model == "m"
    assert not getattr(caught.value, "sent", False)
    assert not server.inferences


def test_what_crashed_clients_have_left_is_swept(client, server):
    left = Path("/dev/shm", f"{PREFIX}0_cuda")
    left.touch()
    server.regions = {left.name: (0, 1), f"{PREFIX}0_gone": (0, 1), "another's": (0, 1)}
    with client.cuda_shared(0, **SHAPES) as arrays:
        client.infer("m", x=arrays["x"])
        assert set(server.regions) == {"another's", arrays["x"].memory.name}
    assert not left.exists()


def test_a_client_without_such_memory_never_asks_for_it(client, server):
    client.infer("m", x=ROWS)
    with client.cuda_shared(0, **SHAPES):
        client.infer("m", x=ROWS)
    assert not server.asked


def test_both_kinds_of_client_have_it(gpu, server):
    async def use() -> None:
        async with AsyncClient(URL) as client, client.cuda_shared(0, **SHAPES) as arrays:
            arrays["x"].copy_from(ROWS)
            result = await client.infer("m", x=arrays["x"], into={"y": arrays["y"]})
            assert np.array_equal(result.y.numpy(), ROWS * 2)
            assert await client.admin.cuda_shared_memory()

    asyncio.run(use())
    assert not server.regions


def test_several_servers_are_each_told(gpu, monkeypatch):
    servers: list[CudaServer] = []

    def connect(url: str, *_: Any) -> CudaServer:
        servers.append(CudaServer())
        servers[-1].url = url
        return servers[-1]

    monkeypatch.setattr(assembly, "Blocking", lambda transport: transport)
    monkeypatch.setattr(assembly, "open_transport", connect)
    with Client([URL, "http://127.0.0.1:8001"]) as client, client.cuda_shared(0, **SHAPES) as arrays:
        for _ in range(4):
            client.infer("m", x=arrays["x"])
        assert all(len(server.regions) == 1 for server in servers)
    assert not any(server.regions for server in servers)


def test_a_closed_client_makes_none(gpu, server):
    client = Client(URL)
    client.close()
    with pytest.raises(RuntimeError, match="closed"), client.cuda_shared(0, **SHAPES):
        pass


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # CPython 3.12
def test_a_forked_child_leaves_its_parents_memory_registered(client, server):
    with client.cuda_shared(0, **SHAPES) as arrays:
        client.infer("m", x=arrays["x"])
        if not (child := os.fork()):
            client.close()
            os._exit(server.asked.count("unregister_cuda_shared_memory"))
        assert os.waitpid(child, 0)[1] == 0


REGISTER = Question(
    "register_cuda_shared_memory",
    "a b",
    body={"raw_handle": {"b64": "aGFuZGxl"}, "device_id": 1, "byte_size": 4096},
)


def test_http_has_these_questions():
    assert request_line(REGISTER) == ("POST", "/v2/cudasharedmemory/region/a%20b/register")
    assert request_line(Question("unregister_cuda_shared_memory", "a")) == (
        "POST",
        "/v2/cudasharedmemory/region/a/unregister",
    )
    assert request_line(Question("cuda_shared_memory")) == ("GET", "/v2/cudasharedmemory/status")
    assert is_answer(REGISTER, None)
    assert is_answer(Question("cuda_shared_memory"), [{"name": "a"}])


def test_grpc_has_these_questions():
    assert procedure(REGISTER) == "CudaSharedMemoryRegister"
    message = service_pb2.CudaSharedMemoryRegisterRequest.FromString(serialize_question(REGISTER))
    assert (message.name, message.raw_handle, message.device_id, message.byte_size) == ("a b", b"handle", 1, 4096)
    question = Question("unregister_cuda_shared_memory", "a")
    assert service_pb2.CudaSharedMemoryUnregisterRequest.FromString(serialize_question(question)).name == "a"
    answer = service_pb2.CudaSharedMemoryStatusResponse()
    answer.regions["a"].name = "a"
    answer.regions["a"].byte_size = 4
    told = parse_answer(Question("cuda_shared_memory"), answer.SerializeToString())
    assert told == [{"name": "a", "device_id": 0, "byte_size": 4}]
