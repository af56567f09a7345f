"""Keep load on generated models, errors and cancellations mixed in; find growth, lost answers, and answers given twice.

    python perf/soak.py [--minutes 10] [--rate 150] [--growth-mib 4] [--without [KIND …]]

Plain, decoupled and sequence models and a bls pipeline get calls that go well, raise, are refused, return wrong values,
are cancelled (unary and streams), and miss their deadline. Each call has values of its own, so that an answer that is
another's, or comes twice, is seen. Resident memory, each process's own part of it (USS), and the /dev/shm that the
server's processes have mapped are sampled. Growth is the median slope (Theil–Sen) over the run without its first fifth,
times that time. Exits 1 where a process or /dev/shm grew by more than `--growth-mib`, or a call went wrong, and 3 where
Triton 24.10 itself crashed. It does on streams that carry several requests each, with and without calls that are
broken off beside them: those are left out unless `--without` says otherwise. It can on calls that are broken off
(`cancelled late stream_cancelled`), too.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import tritonclient.grpc.aio as triton
from server_memory import MIB, measure
from soak_calls import Calls

from tritonforge.build import build
from tritonforge.server import EmbeddedServer, Server

MODELS = Path(__file__).with_name("soak_models.py")
WORKERS = 24
SAMPLES = 120
WARM_UP = 0.2
SERIES_SHOWN = 6

Samples = dict[str, list[tuple[float, float]]]
"""(seconds, MiB) of each figure."""

STACK = re.compile(r"^ *\d+# .*", re.MULTILINE)
"""Its lines in the server's log, where those of models stand between them."""

CRASHES = re.compile(
    r"pthread_mutex_lock|InferResponseComplete"
    r"|bin/tritonserver\n.*libtritonserver.*\n *\d+# TRITONBACKEND_ResponseSend"  # the same place, without its name
)
"""Where Triton 24.10 can crash on calls over gRPC that are broken off, or streams of several requests: it lets go of
a call's state while the model still answers (its issues 7368 and 8034)."""

SERVER_DIED = 3
"""The exit status where it did; whatever else ends the server is a failure."""


def main() -> int:
    """Run, print, and give the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=150.0, help="calls a second")
    parser.add_argument("--growth-mib", type=float, default=4.0, help="growth of one figure that is still noise")
    parser.add_argument("--without", nargs="*", default=["multiplexed"], metavar="KIND", help="calls to leave out")
    options = parser.parse_args()
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").touch()
        (Path(folder) / MODELS.name).write_text(MODELS.read_text())
        build([Path(folder) / MODELS.name], Path(folder) / "model_repository")
        repository = Path(folder) / "model_repository"
        with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
            try:
                calls, samples = asyncio.run(soak(server, seconds=seconds, rate=options.rate, without=options.without))
            except Exception:
                code, log = server.wait(10), server.log_text()
                stack = "\n".join(STACK.findall(log[log.rfind("Signal (") :])) if "Signal (" in log else ""
                if code is not None:
                    print(f"the server ended with code {code}:\n{stack or log[-4000:]}")
                if not CRASHES.search(stack):
                    raise
                return SERVER_DIED
    return 0 if all([report_calls(calls), report_growth(samples, options.growth_mib)]) else 1


async def soak(
    server: EmbeddedServer, *, seconds: float, rate: float, without: Collection[str] = ()
) -> tuple[Calls, Samples]:
    """Call and sample for so long."""
    end = time.monotonic() + seconds
    async with triton.InferenceServerClient(server.grpc_url.partition("://")[2]) as client:
        calls = Calls(client, without)
        workers = [asyncio.create_task(work(calls, WORKERS / rate, end)) for _ in range(WORKERS)]
        samples = await sample(server, end, seconds / SAMPLES)
        await asyncio.gather(*workers)
    return calls, samples


async def work(calls: Calls, interval_s: float, end: float) -> None:
    """Make one call after another, at most one in each interval."""
    while (start := time.monotonic()) < end:
        await calls.one()
        await asyncio.sleep(max(0.0, start + interval_s - time.monotonic()))


async def sample(server: EmbeddedServer, end: float, interval_s: float) -> Samples:
    """Sample memory until the end."""
    samples: Samples = {}
    start = time.monotonic()
    while (now := time.monotonic()) < end:
        processes, shared = await asyncio.to_thread(measure, server.pid)
        figures = {"/dev/shm": shared}
        for process in processes:
            figures |= {f"{process.name} rss": process.rss, f"{process.name} uss": process.uss}
        for name, value in figures.items():
            samples.setdefault(name, []).append((now - start, value / MIB))
        await asyncio.sleep(interval_s)
    return samples


def report_calls(calls: Calls) -> bool:
    """Print how the calls ended; say whether all ended as they must."""
    counts = ", ".join(f"{count} {name}" for name, count in sorted(calls.outcomes.items()))
    print(f"{calls.outcomes.total()} calls answered as they must be: {counts}")
    print(f"{len(calls.faults)} lost, wrong, or answered twice")
    for fault in calls.faults[:10]:
        print(f"  {fault}")
    return not calls.faults and calls.outcomes.total() > 0


def report_growth(samples: Samples, limit_mib: float) -> bool:
    """Print each figure over time, its growth and the verdict; say whether none grew."""
    steady = True
    for name, series in samples.items():
        late = series[int(len(series) * WARM_UP) :]
        grown = slope(late) * (late[-1][0] - late[0][0])
        steady = steady and grown <= limit_mib
        step = max(1, len(series) // SERIES_SHOWN)
        values = " ".join(f"{value:7.1f}" for _, value in series[::step])
        verdict = "steady" if grown <= limit_mib else f"GROWS: more than {limit_mib} MiB"
        print(f"{name:16} MiB {values}   {grown:+6.2f} MiB in {late[-1][0] - late[0][0]:.0f} s   {verdict}")
    return steady and bool(samples)


def slope(series: list[tuple[float, float]]) -> float:
    """Give the median of the slopes between all pairs, in MiB/s (Theil–Sen): outliers don't move it."""
    slopes = [
        (value - earlier) / (time_s - earlier_s)
        for place, (time_s, value) in enumerate(series)
        for earlier_s, earlier in series[:place]
    ]
    return statistics.median(slopes) if slopes else 0.0


if __name__ == "__main__":
    sys.exit(main())
