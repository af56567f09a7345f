"""A server of the test's that maps a stand-in's memory, as Triton does a GPU's."""

from __future__ import annotations

import base64
import ctypes
import os
from typing import Any

import numpy as np

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, InferenceFailed, InvalidRequest, Target
from tritonforge.client.message import Region, Request, Response, Tensor
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.segments import PREFIX

METADATA = {
    "name": "m",
    "versions": ["1"],
    "platform": "python",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [
        {"name": "y", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "rows", "datatype": "INT64", "shape": [-1, 1]},
    ],
}
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
SHAPES: dict[str, Any] = {"x": ((4, 3), np.float32), "y": ((8, 3), np.float32)}
URL = "grpc://127.0.0.1:8000"
CONFIG = {"name": "m", "max_batch_size": 8, "input": [], "output": []}


def markers() -> list[str]:
    """List what this process has in /dev/shm."""
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"{PREFIX}{os.getpid()}_")]


class CudaServer:
    """A transport to it. Its model `m` gives y = 2x and the number of each row; `asked` is what changed its regions."""

    url = URL

    def __init__(self) -> None:
        self.regions: dict[str, tuple[int, int]] = {}
        self.asked: list[str] = []
        self.inferences: list[Request] = []
        self.refusal: ClientError | None = None
        self.known: type[ClientError] = InvalidRequest  # over gRPC it is InferenceFailed
        self.given: bytes | None = None
        self.in_use = False

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        if question.subject == "model_metadata":
            return METADATA
        if question.subject == "model_config":
            return CONFIG
        if question.subject == "server_live":
            return True
        self.asked.append(question.subject)
        if question.subject == "cuda_shared_memory":
            return [{"name": name, "device_id": 0, "byte_size": size} for name, (_, size) in self.regions.items()]
        if question.subject == "server_metadata":
            return {"version": "2.51.0"}
        if question.subject == "unregister_cuda_shared_memory":
            if self.in_use:
                words = f"Cannot unregister shared memory region '{question.model}', it is currently in use."
                raise InferenceFailed(words, Target(self.url, question.model))
            self.regions.pop(question.model, None)
            return None
        assert question.subject == "register_cuda_shared_memory"
        if self.refusal is not None:
            raise self.refusal
        if question.model in self.regions:
            words = f"shared memory region with name '{question.model}' already in manager"
            raise self.known(words, Target(self.url, question.model))
        handle = base64.b64decode(question.body["raw_handle"]["b64"])
        self.regions[question.model] = int.from_bytes(handle[:8], "little"), question.body["byte_size"]
        return None

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        self.inferences.append(request)
        (tensor,) = request.inputs
        data = bytes(tensor.data) if tensor.region is None else ctypes.string_at(*self._place(tensor.region))
        x = np.frombuffer(data, np.float32).reshape(tensor.shape)
        rows = np.arange(len(x), dtype=np.int64)[:, np.newaxis]
        arrays = {"y": ("FP32", x * 2), "rows": ("INT64", rows)}
        names = request.outputs or tuple(arrays)
        outputs = [self._output(name, *arrays[name], request.into.get(name)) for name in names]
        return Response("m", "1", request.id, tuple(outputs), {})

    def _output(self, name: str, datatype: str, array: Any, region: Region | None) -> Tensor:
        data = array.tobytes()
        if region is not None:
            address, size = self._place(region)
            if size < len(data):
                words = f"the size of the place for output '{name}' ({size} bytes) should be at least {len(data)} bytes"
                raise InferenceFailed(words, Target(self.url, "m"))
            ctypes.memmove(address, data, len(data))
            data = self.given or b""
        return Tensor(name, datatype, array.shape, data)

    def _place(self, region: Region) -> tuple[int, int]:
        if region.name not in self.regions:
            raise InferenceFailed(f"Unable to find shared memory region: '{region.name}'", Target(self.url, "m"))
        address, size = self.regions[region.name]
        assert region.offset + region.size <= size
        return address + region.offset, region.size

    async def sleep(self, seconds: float) -> None:
        pass

    async def close(self) -> None:
        self.asked.append("close")
