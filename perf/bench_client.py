"""Sequential calls: our client beside tritonclient, in one run, against one embedded server.

    python perf/bench_client.py [--rounds N] [--calls N]

The model is a Python one that returns its input, FP32[batch, 20], one row a call; inputs are built in each call. All
clients take turns within each round, so that a slow moment of the machine is shared; figures are medians over rounds.
`raw` is the same request as prepared bytes on a plain socket: what the server and the loopback take by themselves.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc
import tritonclient.http

from tritonforge.client import Client
from tritonforge.client.http_message import write_request
from tritonforge.client.message import Request, Tensor
from tritonforge.server import Server

CONFIG = """
name: "identity" backend: "python" max_batch_size: 64
input { name: "x" data_type: TYPE_FP32 dims: [20] }
output { name: "y" data_type: TYPE_FP32 dims: [20] }
"""
MODEL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("y", request.inputs()[0].as_numpy())]) for request in requests
        ]
"""
ROW = np.random.default_rng(0).random((1, 20), np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder, "identity", "1")
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL)
        (version.parent / "config.pbtxt").write_text(CONFIG)
        with Server.embedded(folder, http_port=0, grpc_port=0, metrics_port=0) as server:
            report(measure(callers(server), options.rounds, options.calls))


def callers(server: Server) -> dict[str, Callable[[], Any]]:
    """Make the functions that are compared: one call each."""
    http, grpc = urlsplit(server.http_url).netloc, urlsplit(server.grpc_url).netloc
    return {
        "raw": raw(http),
        "http, ours": ours(Client(server.http_url)),
        "http, tritonclient": theirs(tritonclient.http, tritonclient.http.InferenceServerClient(http)),
        "grpc, ours": ours(Client(server.grpc_url)),
        "grpc, tritonclient": theirs(tritonclient.grpc, tritonclient.grpc.InferenceServerClient(grpc)),
    }


def ours(client: Client) -> Callable[[], Any]:
    """Call through our client."""
    return lambda: client.infer("identity", x=ROW)["y"]


def theirs(module: Any, client: Any) -> Callable[[], Any]:
    """Call through tritonclient."""

    def call() -> Any:
        tensor = module.InferInput("x", ROW.shape, "FP32")
        tensor.set_data_from_numpy(ROW)
        return client.infer("identity", [tensor]).as_numpy("y")

    return call


def raw(address: str) -> Callable[[], Any]:
    """Send prepared bytes and read once: the answer to one row fits."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    header = write_request(Request("identity", (Tensor("x", "FP32", ROW.shape, ROW.tobytes()),)))
    head = (
        f"POST /v2/models/identity/infer HTTP/1.1\r\nHost: {address}\r\n"
        f"Content-Length: {len(header) + ROW.nbytes}\r\nInference-Header-Content-Length: {len(header)}\r\n\r\n"
    )
    request = head.encode() + header + ROW.tobytes()

    def call() -> Any:
        connection.sendall(request)
        return connection.recv(1 << 16)

    return call


def measure(functions: dict[str, Callable[[], Any]], rounds: int, calls: int) -> dict[str, float]:
    """Give the median over all rounds of the microseconds that one call takes."""
    times_us: dict[str, list[float]] = {name: [] for name in functions}
    order = list(functions)
    for _ in range(rounds):
        for name in order:
            function = functions[name]
            for _ in range(5):
                function()
            start = time.perf_counter()
            for _ in range(calls):
                function()
            times_us[name].append((time.perf_counter() - start) / calls * 1e6)
        order.reverse()
    return {name: statistics.median(times) for name, times in times_us.items()}


def report(medians_us: dict[str, float]) -> None:
    """Print the medians and the ratios."""
    for name, median_us in medians_us.items():
        added = "" if name == "raw" else f"  {median_us - medians_us['raw']:+7.1f} µs over raw"
        print(f"{name:20} {median_us:8.1f} µs {1e6 / median_us:8.0f}/s{added}")
    for protocol in ("http", "grpc"):
        ratio = medians_us[f"{protocol}, tritonclient"] / medians_us[f"{protocol}, ours"]
        print(f"{protocol}: ours makes {ratio:.2f}× the calls of tritonclient")


if __name__ == "__main__":
    main()
