"""A GPU's memory that a real Triton maps; where there is none, what Triton answers to a handle of no memory."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from client_models import write_client_models

from tritonforge.client import AsyncClient, Client, CudaArray, InferenceFailed, InvalidRequest
from tritonforge.client.cuda import regions as cuda_regions
from tritonforge.client.cuda import shared as cuda_shared
from tritonforge.client.cuda.driver import HANDLE_BYTES, load_driver
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.regions import unregistration
from tritonforge.client.shared_memory.segments import Segment
from tritonforge.server import Server

ROWS = np.arange(8, dtype=np.float32)[:, np.newaxis]
SHAPES = {"x": (ROWS.shape, np.float32), "y": (ROWS.shape, np.float32)}


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, server: Server) -> str:
    return server.http_url if request.param == "http" else server.grpc_url


class NoMemory:
    """A driver whose memory is none: another process can't map what it gives."""

    def require_device(self, device: int) -> None: ...
    def free(self, device: int, address: int) -> None: ...
    def allocate(self, device: int, size: int) -> int:
        return 256

    def handle(self, device: int, address: int) -> bytes:
        return bytes(HANDLE_BYTES)


@pytest.mark.parametrize("known", [False, True], ids=["new", "known before a restart"])
def test_a_server_that_can_not_map_memory_fails_the_call_in_its_words(url, monkeypatch, known):
    monkeypatch.setattr(cuda_shared, "load_driver", NoMemory)
    told = r"the server can't map this GPU's memory: failed to register shared memory region.*; it needs a GPU"
    with Client(url) as client, client.cuda_shared(0, **SHAPES) as arrays:
        for x, into in ((arrays["x"], None), (ROWS, {"y": arrays["y"]}), (arrays["x"], {"y": arrays["y"]})):
            if known:
                client._assembly.shared[0].cuda._registered.add(arrays["x"].memory.name)
            with pytest.raises(InvalidRequest, match=told) as caught:
                client.infer("echo", x=x, into=into)
            assert caught.value.model == "echo"
        assert client.admin.cuda_shared_memory() == []
        assert np.array_equal(client.infer("echo", x=ROWS).y, ROWS)


class HostMemory(NoMemory):
    """A driver whose memory is the host's, which a server without a GPU maps, too."""

    def __init__(self) -> None:
        self.segments: dict[int, Segment] = {}

    def allocate(self, device: int, size: int) -> int:
        segment = Segment(size)
        self.segments[segment.address] = segment
        return segment.address

    def free(self, device: int, address: int) -> None:
        self.segments.pop(address).close()

    def copy_in(self, device: int, address: int, source: int, size: int) -> None:
        ctypes.memmove(address, source, size)

    def copy_out(self, device: int, address: int, target: int, size: int) -> None:
        ctypes.memmove(target, address, size)

    def registration(self, memory: Any) -> Question:
        key = f"/{self.segments[memory.address].name}"
        return Question("register_shared_memory", memory.name, body={"key": key, "offset": 0, "byte_size": memory.size})


@pytest.fixture
def on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients share system memory in a GPU's place: all but the handle and the driver is what it would be."""
    driver = HostMemory()
    monkeypatch.setattr(cuda_shared, "load_driver", lambda: driver)
    monkeypatch.setattr(cuda_regions, "cuda_registration", driver.registration)
    monkeypatch.setattr(cuda_regions, "cuda_unregistration", unregistration)


def infer_all(client: Client, arrays: dict[str, CudaArray]) -> None:
    """Infer with inputs and outputs in that memory and over the wire, beside each other."""
    arrays["x"].copy_from(ROWS)
    arrays["n"].copy_from(ROWS.astype(np.int32))
    result = client.infer("identity", x_FP32=arrays["x"], outputs=["y_FP32"], into={"y_FP32": arrays["y"]})
    assert isinstance(result.y_FP32, CudaArray)
    assert np.array_equal(result.y_FP32.numpy(), ROWS)
    mixed = {"x_INT32": arrays["n"][2:5], "x_FP32": ROWS[5:]}
    for into, outputs in (({"y_FP32": arrays["y"][3:]}, ["y_INT32"]), ({"y_INT32": arrays["m"][1:]}, ["y_FP32"])):
        result = client.infer("identity", mixed, outputs=outputs, into=into)
        found = {name: np.asarray(y.numpy() if name in into else y) for name, y in result.outputs.items()}
        assert list(found) == [*outputs, *into]
        assert np.array_equal(found["y_FP32"], ROWS[5:])
        assert np.array_equal(found["y_INT32"], ROWS[2:5])
    assert not arrays["m"].numpy()[0].any()
    assert np.array_equal(client.infer("plain", x_FP32=arrays["x"].started((8,))).y_FP32, ROWS[:, 0])
    with pytest.raises(InferenceFailed, match="shared memory"):
        client.infer("identity", x_FP32=arrays["x"], outputs=["y_FP32"], into={"y_FP32": arrays["y"][:7]})


def test_requests_with_such_memory_are_served_also_by_a_server_that_starts_anew(tmp_path: Path, on_the_host: None):
    write_client_models(tmp_path)
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    shapes = {**SHAPES, "n": (ROWS.shape, np.int32), "m": (ROWS.shape, np.int32)}
    with Server.embedded(tmp_path, **ports, exit_timeout_s=0) as first:
        ports = {name: getattr(first.settings, name) for name in ports}
        clients = [Client(first.http_url), Client(first.grpc_url)]
        blocks = [client.cuda_shared(0, **shapes) for client in clients]
        lent = [block.__enter__() for block in blocks]
        for client, arrays in zip(clients, lent, strict=True):
            infer_all(client, arrays)
    with Server.embedded(tmp_path, **ports, exit_timeout_s=0):
        for client, arrays, block in zip(clients, lent, blocks, strict=True):
            client.wait_ready("identity", "plain", timeout_s=60)
            infer_all(client, arrays)
            assert arrays["x"].memory.name in {entry["name"] for entry in client.admin.shared_memory()}
            block.__exit__(None, None, None)
            assert arrays["x"].memory.name not in {entry["name"] for entry in client.admin.shared_memory()}
            client.close()


@pytest.fixture
def gpu() -> None:
    try:
        load_driver()
    except OSError as error:
        pytest.skip(str(error.strerror))


@pytest.fixture
def client(gpu: None, url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.mark.gpu
def test_inputs_and_outputs_stay_on_the_gpu(client):
    with client.cuda_shared(0, **SHAPES) as arrays:
        assert not arrays["x"].numpy().any()
        arrays["x"].copy_from(ROWS)
        result = client.infer("echo", x=arrays["x"], into={"y": arrays["y"]})
        assert isinstance(result.y, CudaArray)
        assert np.array_equal(result.y.numpy(), ROWS)
        part = client.infer("double", x=arrays["x"][2:5], into={"y": arrays["y"]})
        assert np.array_equal(part.y.numpy(), ROWS[2:5] * 2)
        assert np.array_equal(client.infer("double", x=arrays["x"]).y, ROWS * 2)
        assert np.array_equal(client.infer("double", x=ROWS, into={"y": arrays["y"]}).y.numpy(), ROWS * 2)
        (region,) = client.admin.cuda_shared_memory()
        assert (region["name"], region["device_id"]) == (arrays["x"].memory.name, 0)
    assert client.admin.cuda_shared_memory() == []
    assert np.array_equal(result.y.numpy(), ROWS * 2)  # as the last call wrote there


@pytest.mark.gpu
def test_an_output_larger_than_its_place_is_told(client):
    told = pytest.raises(InferenceFailed, match="shared memory")
    with client.cuda_shared(0, **SHAPES) as arrays, told:
        client.infer("echo", x=ROWS, into={"y": arrays["y"][:2]})


@pytest.mark.gpu
def test_a_server_that_has_forgotten_the_memory_is_told_again(client):
    with client.cuda_shared(0, **SHAPES) as arrays, Client(client.url) as other:
        arrays["x"].copy_from(ROWS)
        client.infer("echo", x=arrays["x"])
        memory = arrays["x"].memory
        regions = other._assembly.shared[0].cuda
        regions.add(memory)
        regions._told.add(memory.name)
        other.close()
        assert client.admin.cuda_shared_memory() == []
        assert np.array_equal(client.infer("echo", x=arrays["x"]).y, ROWS)


@pytest.mark.gpu
def test_an_event_loop_has_it_too(gpu, url):
    async def use() -> None:
        async with AsyncClient(url) as client, client.cuda_shared(0, **SHAPES) as arrays:
            arrays["x"].copy_from(ROWS)
            result = await client.infer("double", x=arrays["x"], into={"y": arrays["y"]})
            assert np.array_equal(result.y.numpy(), ROWS * 2)

    asyncio.run(use())


@pytest.mark.gpu
def test_torch_takes_the_same_memory(client):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    with client.cuda_shared(0, **SHAPES, half=((4,), ml_dtypes.bfloat16)) as arrays:
        batch = torch.as_tensor(arrays["x"], device="cuda:0")
        batch.copy_(torch.from_numpy(ROWS))
        torch.cuda.synchronize()
        y = client.infer("double", x=arrays["x"], into={"y": arrays["y"]}).y
        assert np.array_equal(torch.as_tensor(y, device="cuda:0").cpu().numpy(), ROWS * 2)
        half = torch.as_tensor(arrays["half"].view(np.int16), device="cuda:0").view(torch.bfloat16)
        half.fill_(2)
        torch.cuda.synchronize()
        assert arrays["half"].numpy().astype(np.float32).tolist() == [2, 2, 2, 2]
