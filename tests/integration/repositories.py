"""Small handmade repositories, and what is left on the machine of a server that ran on one."""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.server import EmbeddedServer, Server, Workspace

TENSORS = 'input { name: "x" data_type: TYPE_FP32 dims: [1] } output { name: "y" data_type: TYPE_FP32 dims: [1] }'
PYTHON = f'backend: "python" max_batch_size: 8 {TENSORS}'
ECHO = """
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        inputs = [request.inputs()[0].as_numpy() for request in requests]
        return [utils.InferenceResponse([utils.Tensor("y", x)]) for x in inputs]
"""
UNDER_WAY = "a request is under way"
SLOW = f"""
import time

import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        print("{UNDER_WAY}")
        time.sleep(SECONDS)
        inputs = [request.inputs()[0].as_numpy() for request in requests]
        return [utils.InferenceResponse([utils.Tensor("y", x)]) for x in inputs]
"""

PARAMETERS = """
import json

import numpy as np
import triton_python_backend_utils as utils


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.streams = config["model_transaction_policy"]["decoupled"]
        self.expected = json.loads(config["parameters"].get("expected", {}).get("string_value", "null"))

    def execute(self, requests):
        answers = [self.answer(request) for request in requests]
        if not self.streams:
            return answers
        for request, answer in zip(requests, answers):
            sender = request.get_response_sender()
            sender.send(answer)
            sender.send(answer, flags=utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def answer(self, request):
        found = json.loads(request.parameters())
        own = {name: value for name, value in found.items() if not name.startswith(("sequence_", "triton_"))}
        if self.expected not in (None, own):
            return utils.InferenceResponse([], utils.TritonError(f"{own} came, not {self.expected}"))
        text = json.dumps(own, sort_keys=True)
        return utils.InferenceResponse([utils.Tensor("y", np.array([text], object))])
"""
"""Answers with the parameters of a request, or with an error where its own expects others."""

FREE_PORTS: dict[str, Any] = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
DEADLINE_S = 90.0


def write_model(repository: Path, name: str, code: str | None, *, config: str | None = PYTHON) -> Path:
    """Write a Python model without any runtime of ours, and give its version folder."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    if config is not None:
        (repository / name / "config.pbtxt").write_text(config)
    if code is not None:
        (version / "model.py").write_text(code)
    return version


def write_parameter_model(
    repository: Path, name: str, more: str = "", *, streams: bool = False, expected: dict[str, Any] | None = None
) -> None:
    """Write a model that answers with the parameters of a request, as JSON, or twice so, or refuses any but these."""
    tensors = 'input { name: "x" data_type: TYPE_FP32 dims: [1] } output { name: "y" data_type: TYPE_STRING dims: [1] }'
    policy = f"model_transaction_policy {{ decoupled: {str(streams).lower()} }}"
    words = json.dumps(json.dumps(expected, sort_keys=True))
    wanted = f'parameters {{ key: "expected" value: {{ string_value: {words} }} }}' if expected is not None else ""
    config = f'backend: "python" {tensors} {policy} {wanted} {more}'
    write_model(repository, name, PARAMETERS, config=config)


@contextlib.contextmanager
def renewed(start: Callable[[], EmbeddedServer]) -> Iterator[Callable[[], Server]]:
    """Give what gives a server to each test: the same, or a new one where that has ended.

    Triton 24.10 can crash as a gRPC call is broken off (docs/guides/client.md). A test's second try has a server then,
    and so have the tests after it.
    """
    with contextlib.ExitStack() as stack:
        server: EmbeddedServer | None = None

        def living() -> Server:
            nonlocal server
            if server is None or server.wait(0) is not None:
                stack.close()
                server = stack.enter_context(start())
            return server

        yield living


def ensemble_of(model: str) -> str:
    """Write the configuration of an ensemble that is another model."""
    maps = 'input_map { key: "x" value: "x" } output_map { key: "y" value: "y" }'
    step = f'step {{ model_name: "{model}" model_version: -1 {maps} }}'
    return f'platform: "ensemble" max_batch_size: 8 {TENSORS} ensemble_scheduling {{ {step} }}'


def infer(url: str, model: str, x: float, *, timeout_s: float = DEADLINE_S) -> float:
    """Send one number to a model, over HTTP as it is on the wire."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [x]}
    body = json.dumps({"inputs": [tensor]}).encode()
    with urllib.request.urlopen(f"{url}/v2/models/{model}/infer", body, timeout=timeout_s) as answer:
        result: dict[str, Any] = json.load(answer)
    return float(result["outputs"][0]["data"][0])


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something, up to a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Trace:
    """What a server has on the machine: its session of processes, shared memory, folder and ports."""

    session: int
    shared_memory: str
    folder: str
    ports: tuple[int, ...]

    def processes(self) -> list[int]:
        """List the live processes of its session; zombies are no longer processes."""
        found = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.session and fields[0] != "Z":
                    found.append(int(process.name))
        return found

    def stubs(self) -> list[int]:
        """List the processes that run Python models."""
        return [pid for pid in self.processes() if b"python_backend_stub" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def remains(self) -> list[object]:
        """List everything that is still there."""
        segments = [name for name in os.listdir("/dev/shm") if name.startswith(self.shared_memory)]
        folder = [self.folder] if os.path.exists(self.folder) else []
        return [*self.processes(), *segments, *folder, *(listening_ports() & set(self.ports))]


def trace(server: Server, workspace: Workspace) -> Trace:
    """Note where the traces of a running server are."""
    settings = server.settings
    ports = (settings.http_port, settings.grpc_port, settings.metrics_port)
    return Trace(os.getsid(server.pid), workspace.shared_memory, str(workspace.folder), ports)


def listening_ports() -> set[int]:
    """List the ports that some process of this machine listens on; gRPC's are among those of IPv6."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {int(fields[1].rpartition(":")[2], 16) for fields in lines if fields[3] == "0A"}


def write_wheel(folder: Path, version: str) -> None:
    """Write a wheel of a package whose only content is its version."""
    folder.mkdir(exist_ok=True)
    info = f"tritonforge_tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tritonforge_tiny-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tritonforge_tiny.py", f"VERSION = {version}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tritonforge-tiny\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
