"""Our clients beside tritonclient's, in one run, against one embedded server.

    python perf/bench_client.py [--rounds N] [--calls N] [--only sequential|asyncio|threads|strings] [--uvloop]

The model is the breast-cancer example as one fused Python model, FP32[batch, 30], one row a call; inputs are built in
each call, and all calls have a deadline of 30 s. All clients take turns within each round, so that a slow moment of the
machine is shared; figures are medians over rounds, and so are ratios and differences, each of one round's two. The mean
processors' time of a call is given for this process and for the server's (itself and its stubs): with few cores, both
limit the rate.
`http, raw` is the same request as prepared bytes on a plain socket: what server and loopback take by themselves.
`grpc, prepared` are prepared bytes through grpcio: the least that a call over it takes. Each ratio is printed with its
target.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from client_calls import Call, addresses, async_ours, async_theirs, ours, prepared, raw, theirs
from figures import note
from tritonclient.utils import serialize_byte_tensor
from turns import Figures, added_us, pairs, take_turns

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client
from tritonforge.client.tensors.wire import encode
from tritonforge.server import EmbeddedServer, Server

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "breast_cancer"
DEFINITIONS = """
from breast_cancer import breast_cancer

from tritonforge import pipeline

fused = pipeline(lowering="fused")(breast_cancer)
"""
IN_FLIGHT, THREADS = 32, 16
SHORTER, MORE = 5, 4
"""How many times shorter the turns of calls that follow one another are; and how many times as many calls they make:
what a call adds is small beside what turns differ by."""

ADDED_US = 80.0
ADDED_SHARE = 80 / 190
"""The same target as a share of what tritonclient adds, which was 190 µs where it was set: any machine can tell it."""


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


def sequential(server: EmbeddedServer, rounds: int, calls: int) -> None:
    """Compare one call after another, in short turns: what a call adds is a small share of what a slow moment does."""
    rounds, calls = rounds * SHORTER * MORE, max(1, calls // SHORTER)
    http, grpc = addresses(server)
    callers: dict[str, Call] = {
        "http, raw": raw(http),
        "grpc, prepared": prepared(grpc),
        "http, ours": ours(Client(server.http_url, tracing=False)),
        "http, tritonclient": theirs(tritonclient.http, tritonclient.http.InferenceServerClient(http)),
        "grpc, ours": ours(Client(server.grpc_url, tracing=False)),
        "grpc, tritonclient": theirs(tritonclient.grpc, tritonclient.grpc.InferenceServerClient(grpc)),
    }
    runs = {name: repeated(call, calls) for name, call in callers.items()}
    figures = take_turns(runs, rounds, calls, server_pid=server.pid)
    report("sequential", figures)
    our_us, their_us = (added_us(figures[name], figures["http, raw"]) for name in ("http, ours", "http, tritonclient"))
    note("sequential: http adds over prepared bytes", our_us, "µs", at_most=ADDED_US)
    note("sequential: what http adds, to what tritonclient adds", our_us / their_us, "×", at_most=ADDED_SHARE)
    print(f"  http adds {our_us:.0f} µs over raw (target: at most {ADDED_US:.0f}), tritonclient {their_us:.0f} µs:")
    print(f"  {our_us / their_us:.2f}× (target {ADDED_SHARE:.2f})")
    compare("sequential", figures, http=1.25, grpc=1.25)


def threads(server: EmbeddedServer, rounds: int, calls: int) -> None:
    """Compare threads on one client of ours with threads that have a client of tritonclient's each."""
    http, grpc = addresses(server)
    seats = [ThreadPoolExecutor(1) for _ in range(THREADS)]
    ours_http, ours_grpc = ours(Client(server.http_url, tracing=False)), ours(Client(server.grpc_url, tracing=False))

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

    runs = {name: spread(calls_of) for name, calls_of in callers.items()}
    figures = take_turns(runs, rounds, calls, server_pid=server.pid)
    for seat in seats:
        seat.shutdown()
    report(f"{THREADS} threads", figures)
    compare(f"{THREADS} threads", figures, http=1.5, grpc=1.1)


def in_one_loop(server: EmbeddedServer, rounds: int, calls: int, *, uvloop: bool) -> None:
    """Compare calls in flight together in one event loop."""
    loop = new_loop(uvloop=uvloop)
    callers, closers = loop.run_until_complete(async_callers(server))

    def run(call: Callable[[], Awaitable[Any]]) -> Call:
        async def worker() -> None:
            for _ in range(calls // IN_FLIGHT):
                await call()

        async def all_of_them() -> None:
            await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])

        return lambda: loop.run_until_complete(all_of_them())

    runs = {name: run(call) for name, call in callers.items()}
    figures = take_turns(runs, rounds, calls, server_pid=server.pid)
    for close in closers:
        loop.run_until_complete(close())
    loop.close()
    report(f"{IN_FLIGHT} in flight in one loop of {type(loop).__module__}", figures)
    compare(f"{IN_FLIGHT} in flight", figures, http=1.6, grpc=1.1)


def new_loop(*, uvloop: bool) -> asyncio.AbstractEventLoop:
    """Make the event loop that both sides run on."""
    if not uvloop:
        return asyncio.new_event_loop()
    import uvloop as quick

    return quick.new_event_loop()


async def async_callers(
    server: Server,
) -> tuple[dict[str, Callable[[], Awaitable[Any]]], list[Callable[[], Awaitable[Any]]]]:
    """Make the clients within the loop, as tritonclient's want to be made; give with their calls what closes them."""
    http, grpc = addresses(server)
    their_http = tritonclient.http.aio.InferenceServerClient(http, conn_limit=IN_FLIGHT)
    their_grpc = tritonclient.grpc.aio.InferenceServerClient(grpc)
    our_http, our_grpc = AsyncClient(server.http_url, tracing=False), AsyncClient(server.grpc_url, tracing=False)
    calls = {
        "http, ours": async_ours(our_http),
        "http, tritonclient": async_theirs(tritonclient.http, their_http),
        "grpc, ours": async_ours(our_grpc),
        "grpc, tritonclient": async_theirs(tritonclient.grpc, their_grpc),
    }
    return calls, [client.close for client in (our_http, our_grpc, their_http, their_grpc)]


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
        figures = take_turns(given, rounds, 1)
        target = " (target 10)" if name.startswith("fixed") else ""
        ratio = pairs(figures["ours"], figures["tritonclient"])
        note(f"strings: {name}, over tritonclient", ratio, "×", at_least=10 if target else None)
        print(
            f"{name:30} {figures['ours'].wall_us / 1e3:7.2f} ms, tritonclient "
            f"{figures['tritonclient'].wall_us / 1e3:7.2f} ms: {ratio:.1f}×{target}"
        )


def repeated(call: Call, times: int) -> Call:
    """Make a function that calls so many times."""

    def run() -> None:
        for _ in range(times):
            call()

    return run


def report(title: str, figures: dict[str, Figures]) -> None:
    """Print the medians."""
    print(title)
    for name, found in figures.items():
        print(f"  {name:20} {found}")


def compare(title: str, figures: dict[str, Figures], **targets: float) -> None:
    """Print the ratios."""
    for protocol, target in targets.items():
        ratio = pairs(figures[f"{protocol}, ours"], figures[f"{protocol}, tritonclient"])
        note(f"{title}: {protocol} over tritonclient", ratio, "×", at_least=target)
        print(f"  {protocol}: ours makes {ratio:.2f}× the calls of tritonclient (target {target:g})")


if __name__ == "__main__":
    main()
