"""A process that loads: jobs in on standard input, tallies out on standard output, each a length and a pickle.

    python -m tritonforge.load.workers.worker

The parent is another process, so that what it does (statistics, progress) takes no time from the event loop here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Coroutine
from functools import partial
from typing import Any, BinaryIO

import uvloop

from tritonforge.load.errors import LoadFailed
from tritonforge.load.exports.trace import Tracer
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.input.answers import NotAnAnswer, prepare_checks
from tritonforge.load.links.dial import connect, connect_all, disconnect
from tritonforge.load.links.lane import Lane
from tritonforge.load.pacing.clock import NS, now_ns
from tritonforge.load.pacing.drive import Drive
from tritonforge.load.workers.job import Connected, Finished, Job, Ready, Start
from tritonforge.load.workers.orders import Orders
from tritonforge.load.workers.pipe import read_message, write_message

__all__ = ["main"]

_COLLECT_AFTER = 50_000
_DRAIN_NS = 5 * NS


def main() -> None:
    """Do jobs until standard input ends. After each job comes a `Start` once it is `Connected`, and a `Stop`."""
    # It is the parent that says when to stop, or its end: a signal to a whole group of processes isn't for this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A connection is an open file: as many as this process may have, whatever the shell's own limit is.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    stdin = os.fdopen(0, "rb", buffering=0)
    _keep_imports()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    with contextlib.suppress(BrokenPipeError):  # the parent was ended: nobody is left to tell
        _take_jobs(stdin, out)


def _keep_imports() -> None:
    """Have no collection look at what was imported: it is never garbage, and a pause in somebody's latency."""
    gc.freeze()


def _take_jobs(stdin: BinaryIO, out: BinaryIO) -> None:
    write_message(out, Ready())
    while True:
        try:
            job = read_message(stdin)
        except EOFError:
            return
        orders = Orders(stdin)
        try:
            answer = uvloop.run(_do(job, out, orders))
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            answer = Finished(f"{type(error).__name__}: {error}")
        except (Fault, LoadFailed) as error:
            answer = Finished(str(error))
        write_message(out, answer)
        orders.finish()


class Fault(Exception):
    """A mistake of the generator's own, met in a callback."""


async def _do(job: Job, out: BinaryIO, orders: Orders) -> Finished:
    """Do a job; give its last word."""
    make = partial(Tracer, job.trace) if job.trace else Recorder
    recorder = make(
        job.window_ns,
        lambda tally: write_message(out, tally),
        from_first=bool(job.concurrency and job.requests),
        bounds_ns=job.bounds_ns,
    )
    tracer = recorder if isinstance(recorder, Tracer) else None
    pending: set[asyncio.Task[None]] = set()
    prepare_checks(job.payloads, grpc=bool(job.target.method))
    _keep_imports()

    loop = asyncio.get_running_loop()
    faults: list[Exception] = []

    def reconnect(lane: Lane) -> None:
        task = loop.create_task(_again(job, drive, lane, recorder if lane is drive.lanes[0] else None))
        pending.add(task)
        task.add_done_callback(pending.discard)

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError) and not faults:
            faults.append(error)
            drive.done.set()

    loop.set_exception_handler(note)
    drive = Drive(job, recorder, reconnect)
    drive.lanes = [Lane() for _ in range(job.concurrency or job.max_in_flight)]
    unanswered: tuple[int, ...] = ()
    with tracer or contextlib.nullcontext(), orders.heard(drive.stop) as told:
        try:
            if start := await _connected(connect_all(job, drive, drive.lanes, recorder), out, told):
                drive.start(start)
                unanswered = await _load(job, start, drive, recorder)
        finally:
            for task in pending:
                task.cancel()
            disconnect(drive.lanes)
    if faults and isinstance(faults[0], NotAnAnswer):
        raise Fault(str(faults[0]))
    if faults:
        raise Fault("".join(traceback.format_exception(faults[0])).rstrip())
    return Finished(
        untraced=tracer.failure if tracer else None, unanswered_ns=unanswered, failed=tuple(drive.failed_at_end)
    )


async def _connected(
    connections: Coroutine[Any, Any, None], out: BinaryIO, told: asyncio.Future[Start | None]
) -> Start | None:
    """Wait for the connections, say that they are there, and give when to start; None where it is to stop."""
    connecting = asyncio.ensure_future(connections)
    await asyncio.wait((connecting, told), return_when=asyncio.FIRST_COMPLETED)
    if told.done():
        connecting.cancel()
        return None
    await connecting
    write_message(out, Connected())
    return await told


async def _load(job: Job, start: Start, drive: Drive, recorder: Recorder) -> tuple[int, ...]:
    """Load until it is stopped, or stops by itself; give the ages of the requests that had no answer."""
    end_ns = start.windows_ns + job.max_windows * job.window_ns + NS // 1000
    while not drive.done.is_set():
        next_ns = min(recorder.edge + 1_000_000, end_ns, now_ns() + NS // 4)
        try:
            await asyncio.wait_for(drive.done.wait(), max(0.001, (next_ns - now_ns()) / NS))
        except asyncio.TimeoutError:
            drive.tick()
            if now_ns() >= end_ns and job.requests is None:
                drive.stop()
    drive.close_sequences()
    await _drain(drive)
    return drive.unanswered(now_ns())


async def _drain(drive: Drive) -> None:
    """Let what is under way be answered, or reach its timeout.

    A gRPC call that its client breaks off can crash Triton, which then locks a mutex of a call that is gone (seen in
    24.10; its issue 8034, mended in 2025 by pull request 8078).
    """
    end_ns = now_ns() + _DRAIN_NS
    while drive.under_way and now_ns() < end_ns:
        await asyncio.sleep(0.002)
        drive.lapse()


async def _again(job: Job, drive: Drive, lane: Lane, timed: Recorder | None) -> None:
    """Connect a lane anew, until it works."""
    while not drive.done.is_set():
        try:
            await connect(job, drive, [lane], timed)
        except (OSError, asyncio.TimeoutError):
            await asyncio.sleep(0.05)
        else:
            drive.connected(lane)
            return


if __name__ == "__main__":
    main()
    sys.exit(0)
