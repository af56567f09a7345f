"""Our clients beside tritonclient's, in one run, against one embedded server.

    python perf/bench_client.py [--rounds N] [--calls N] [--only sequential|asyncio|threads|strings] [--uvloop]

The model is the breast-cancer example as one fused Python model, FP32[batch, 30], one row a call; inputs are built in
each call. All clients take turns within each round, so that a slow moment of the machine is shared; figures are medians
over rounds. `raw` is the same request as prepared bytes on a plain socket: what the server and the loopback take by
themselves. Each ratio is printed with its target.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import serialize_byte_tensor

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client
from tritonforge.client.http_message import write_request
from tritonforge.client.message import Request, Tensor
from tritonforge.client.wire import encode
from tritonforge.server import Server

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "breast_cancer"
DEFINITIONS = """
from breast_cancer import breast_cancer

from tritonforge import pipeline

fused = pipeline(lowering="fused")(breast_cancer)
"""
MODEL, INPUT, OUTPUT = "fused", "features", "label"
ROW = np.random.default_rng(0).random((1, 30), np.float32)
IN_FLIGHT, THREADS = 32, 16
ADDED_US = 80.0

Call = Callable[[], Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--calls", type=int, default=100, help="a round, of each client; those in flight make 16 times as many"
    )
    parser.add_argument("--only", choices=["sequential", "asyncio", "threads", "strings"])
    parser.add_argument("--uvloop", action="store_true", help="run both sides' event loops on uvloop")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("train.py", "__pycache__"))
        (folder / "source" / "fused.py").write_text(DEFINITIONS)
        build([folder / "source" / "fused.py"], folder / "model_repository")
        with Server.embedded(folder / "model_repository", http_port=0, grpc_port=0, metrics_port=0) as server:
            if options.only in (None, "sequential"):
                sequential(server, options.rounds, options.calls)
            if options.only in (None, "asyncio"):
                in_one_loop(server, options.rounds, options.calls * 16, uvloop=options.uvloop)
            if options.only in (None, "threads"):
                threads(server, options.rounds, options.calls * 16)
    if options.only in (None, "strings"):
        strings(options.rounds)


def sequential(server: Server, rounds: int, calls: int) -> None:
    """Compare one call after another."""
    http, grpc = addresses(server)
    callers: dict[str, Call] = {
        "raw": raw(http),
        "http, ours": ours(Client(server.http_url)),
        "http, tritonclient": theirs(tritonclient.http, tritonclient.http.InferenceServerClient(http)),
        "grpc, ours": ours(Client(server.grpc_url)),
        "grpc, tritonclient": theirs(tritonclient.grpc, tritonclient.grpc.InferenceServerClient(grpc)),
    }
    times_us = take_turns({name: repeated(call, calls) for name, call in callers.items()}, rounds, calls)
    report("sequential", times_us)
    print(f"  http adds {times_us['http, ours'] - times_us['raw']:.0f} µs over raw (target: at most {ADDED_US:.0f})")
    compare(times_us, http=1.25, grpc=1.25)


def threads(server: Server, rounds: int, calls: int) -> None:
    """Compare threads on one client of ours with threads that have a client of tritonclient's each."""
    http, grpc = addresses(server)
    seats = [ThreadPoolExecutor(1) for _ in range(THREADS)]
    ours_http, ours_grpc = ours(Client(server.http_url)), ours(Client(server.grpc_url))

    def each(make: Callable[[], Call]) -> list[Call]:
        # tritonclient's HTTP client is good only in the thread that made it.
        return [seat.submit(make).result() for seat in seats]

    callers: dict[str, list[Call]] = {
        "http, ours": [ours_http] * THREADS,
        "http, tritonclient": each(lambda: theirs(tritonclient.http, tritonclient.http.InferenceServerClient(http))),
        "grpc, ours": [ours_grpc] * THREADS,
        "grpc, tritonclient": each(lambda: theirs(tritonclient.grpc, tritonclient.grpc.InferenceServerClient(grpc))),
    }

    def spread(calls_of: list[Call]) -> Call:
        share = calls // THREADS

        def run() -> None:
            running = [seat.submit(repeated(call, share)) for seat, call in zip(seats, calls_of, strict=True)]
            for one in running:
                one.result()

        return run

    times_us = take_turns({name: spread(calls_of) for name, calls_of in callers.items()}, rounds, calls)
    for seat in seats:
        seat.shutdown()
    report(f"{THREADS} threads", times_us)
    compare(times_us, http=1.5, grpc=1.1)


def in_one_loop(server: Server, rounds: int, calls: int, *, uvloop: bool) -> None:
    """Compare calls in flight together in one event loop."""
    loop = new_loop(uvloop=uvloop)
    callers = loop.run_until_complete(async_callers(server))

    def run(call: Callable[[], Awaitable[Any]]) -> Call:
        async def worker() -> None:
            for _ in range(calls // IN_FLIGHT):
                await call()

        async def all_of_them() -> None:
            await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])

        return lambda: loop.run_until_complete(all_of_them())

    times_us = take_turns({name: run(call) for name, call in callers.items()}, rounds, calls)
    report(f"{IN_FLIGHT} in flight in one loop of {type(loop).__module__}", times_us)
    compare(times_us, http=1.6, grpc=1.1)


def new_loop(*, uvloop: bool) -> asyncio.AbstractEventLoop:
    """Make the event loop that both sides run on."""
    if not uvloop:
        return asyncio.new_event_loop()
    import uvloop as quick

    return quick.new_event_loop()


async def async_callers(server: Server) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Make the clients within the loop, as tritonclient's want to be made."""
    http, grpc = addresses(server)
    their_http = tritonclient.http.aio.InferenceServerClient(http, conn_limit=IN_FLIGHT)
    their_grpc = tritonclient.grpc.aio.InferenceServerClient(grpc)
    return {
        "http, ours": async_ours(AsyncClient(server.http_url)),
        "http, tritonclient": async_theirs(tritonclient.http, their_http),
        "grpc, ours": async_ours(AsyncClient(server.grpc_url)),
        "grpc, tritonclient": async_theirs(tritonclient.grpc, their_grpc),
    }


def strings(rounds: int) -> None:
    """Compare the encoding of 100,000 strings."""
    full = [f"{number:016d}" for number in range(100_000)]
    ragged = ["w" * (1 + number % 24) for number in range(100_000)]
    arrays = {
        "fixed width, S16": np.array(full, "S"),
        "fixed width, U16": np.array(full),
        "fixed width, S24, of 1 to 24": np.array(ragged, "S"),
        "fixed width, U24, of 1 to 24": np.array(ragged),
        "object, str": np.array(ragged, object),
        "object, bytes": np.array([word.encode() for word in ragged], object),
    }
    for name, array in arrays.items():
        # tritonclient takes no text of fixed width: its users convert.
        given = {"ours": lambda array=array: encode(array, "BYTES")}
        given["tritonclient"] = lambda array=array: serialize_byte_tensor(
            array.astype(object) if array.dtype.kind == "U" else array
        )
        times_us = take_turns(given, rounds, 1)
        target = " (target 10)" if name.startswith("fixed") else ""
        print(
            f"{name:30} {times_us['ours'] / 1e3:7.2f} ms, tritonclient {times_us['tritonclient'] / 1e3:7.2f} ms: "
            f"{times_us['tritonclient'] / times_us['ours']:.1f}×{target}"
        )


def addresses(server: Server) -> tuple[str, str]:
    """Give host:port of HTTP and gRPC."""
    return urlsplit(server.http_url).netloc, urlsplit(server.grpc_url).netloc


def ours(client: Client) -> Call:
    """Call through our client."""
    return lambda: client.infer(MODEL, features=ROW)[OUTPUT]


def theirs(module: Any, client: Any) -> Call:
    """Call through tritonclient."""

    def call() -> Any:
        tensor = module.InferInput(INPUT, ROW.shape, "FP32")
        tensor.set_data_from_numpy(ROW)
        return client.infer(MODEL, [tensor]).as_numpy(OUTPUT)

    return call


def async_ours(client: AsyncClient) -> Callable[[], Awaitable[Any]]:
    """Call through our client for event loops."""

    async def call() -> Any:
        return (await client.infer(MODEL, features=ROW))[OUTPUT]

    return call


def async_theirs(module: Any, client: Any) -> Callable[[], Awaitable[Any]]:
    """Call through tritonclient's for event loops."""

    async def call() -> Any:
        tensor = module.InferInput(INPUT, ROW.shape, "FP32")
        tensor.set_data_from_numpy(ROW)
        return (await client.infer(MODEL, [tensor])).as_numpy(OUTPUT)

    return call


def raw(address: str) -> Call:
    """Send prepared bytes and read once: the answer to one row fits."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    header = write_request(Request(MODEL, (Tensor(INPUT, "FP32", ROW.shape, ROW.tobytes()),)))
    head = (
        f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: {address}\r\n"
        f"Content-Length: {len(header) + ROW.nbytes}\r\nInference-Header-Content-Length: {len(header)}\r\n\r\n"
    )
    request = head.encode() + header + ROW.tobytes()

    def call() -> Any:
        connection.sendall(request)
        return connection.recv(1 << 16)

    return call


def repeated(call: Call, times: int) -> Call:
    """Make a function that calls so many times."""

    def run() -> None:
        for _ in range(times):
            call()

    return run


def take_turns(functions: dict[str, Call], rounds: int, calls: int) -> dict[str, float]:
    """Give the median over all rounds of the microseconds that one of a function's calls takes.

    A first round is left out.
    """
    times_us: dict[str, list[float]] = {name: [] for name in functions}
    order = list(functions)
    for turn in range(rounds + 1):
        for name in order:
            start = time.perf_counter()
            functions[name]()
            if turn:
                times_us[name].append((time.perf_counter() - start) / calls * 1e6)
        order.reverse()
    return {name: statistics.median(times) for name, times in times_us.items()}


def report(title: str, times_us: dict[str, float]) -> None:
    """Print the medians."""
    print(title)
    for name, time_us in times_us.items():
        print(f"  {name:20} {time_us:8.1f} µs {1e6 / time_us:8.0f}/s")


def compare(times_us: dict[str, float], **targets: float) -> None:
    """Print the ratios."""
    for protocol, target in targets.items():
        ratio = times_us[f"{protocol}, tritonclient"] / times_us[f"{protocol}, ours"]
        print(f"  {protocol}: ours makes {ratio:.2f}× the calls of tritonclient (target {target:g})")


if __name__ == "__main__":
    main()
