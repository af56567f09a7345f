"""Clients that outlive their server, or their model there: what they have told of shared memory is told again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
from client_models import tensor, write

from tritonforge.client import AsyncClient, Breaker, Client, ModelNotReady
from tritonforge.client.shared_memory.segments import PREFIX
from tritonforge.server import Server

GROW = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            x, size = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("x", "size"))
            y = np.full(size[0, 0], x.sum(), np.float32)[np.newaxis]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", y)]))
        return responses
"""
CONFIG = f"max_batch_size: 1 {tensor('input', 'x', dims=-1)} {tensor('input', 'size', 'INT32')} " + tensor(
    "output", "y", dims=-1
)
LARGE = 1 << 17
SIZES = ((LARGE, 1), (1, LARGE), (LARGE, LARGE))
"""Of inputs and outputs."""


def inputs(size_in: int, size_out: int) -> dict[str, np.ndarray]:
    return {"x": np.ones((1, size_in), np.float32), "size": np.array([[size_out]], np.int32)}


def test_large_tensors_are_sent_to_a_server_that_has_started_anew(tmp_path: Path) -> None:
    write(tmp_path, "grow", CONFIG, GROW)
    write(tmp_path, "steps", f"{CONFIG} sequence_batching {{ }}", GROW)

    async def go() -> None:
        with Server.embedded(tmp_path, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as first:
            urls = (first.http_url, first.grpc_url)
            ports = {name: getattr(first.settings, name) for name in ("http_port", "grpc_port", "metrics_port")}
            clients, in_loop = [Client(url) for url in urls], [AsyncClient(url) for url in urls]
            await infer_all(clients, in_loop)
        with Server.embedded(tmp_path, **ports, exit_timeout_s=0):
            for client in (*clients, *in_loop):
                ready = client.wait_ready("grow", "steps", timeout_s=60)
                if ready is not None:
                    await ready
            await infer_all(clients, in_loop)
            for client in (*clients, *in_loop):
                assert all(shared._usable for shared in client._assembly.shared)
            assert clients[0].admin.shared_memory()
            for client in clients:
                client.close()
            for client in in_loop:
                await client.close()
        assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"{PREFIX}{os.getpid()}_")]

    asyncio.run(go())


async def infer_all(clients: list[Client], in_loop: list[AsyncClient]) -> None:
    """Infer small and large tensors, each until it goes through shared memory both ways."""
    for sizes in SIZES:
        for _ in range(3):
            for client in clients:
                check(client.infer("grow", inputs(*sizes)).y, sizes)
                check(client.infer("steps", inputs(*sizes), sequence_id=7, sequence_start=True).y, sizes)
            for client in in_loop:
                check((await client.infer("grow", inputs(*sizes))).y, sizes)
                check((await client.infer("steps", inputs(*sizes), sequence_id=8, sequence_start=True)).y, sizes)


def check(y: np.ndarray, sizes: tuple[int, int]) -> None:
    assert y.shape == (1, sizes[1])
    assert y[0, 0] == sizes[0]


def test_a_model_that_one_of_two_servers_has_unloaded_is_asked_of_the_other(tmp_path: Path) -> None:
    write(tmp_path, "grow", CONFIG, GROW)
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0, "exit_timeout_s": 0}
    settings = {**ports, "model_control": "explicit", "restricted_apis": ()}
    with Server.embedded(tmp_path, **settings) as first, Server.embedded(tmp_path, **settings) as second:
        first.unload("grow")
        for urls in ((first.http_url, second.http_url), (second.grpc_url, first.grpc_url)):
            with Client(urls, breaker=Breaker(longest_pause_s=0.5)) as client:
                for _ in range(10):
                    assert client.infer("grow", **inputs(1, 1)).y.shape == (1, 1)
                first.load("grow")
                second.unload("grow")
                for _ in range(10):
                    assert client.infer("grow", **inputs(1, 1)).y.shape == (1, 1)
                first.unload("grow")
                with pytest.raises(ModelNotReady):
                    client.infer("grow", **inputs(1, 1))
                second.load("grow")
