"""A process that loads: jobs in on standard input, tallies out on standard output, each a length and a pickle.

    python -m tritonforge.load.worker

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
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

import uvloop

from tritonforge.load.answers import NotAnAnswer
from tritonforge.load.clock import NS, now_ns
from tritonforge.load.drive import Drive
from tritonforge.load.grpc_link import GrpcLink
from tritonforge.load.http_link import HttpLink
from tritonforge.load.http_link import connect as connect_http
from tritonforge.load.http_stream_link import HttpStreamLink
from tritonforge.load.job import Finished, Job, Ready
from tritonforge.load.lane import Events, Lane
from tritonforge.load.recorder import Recorder
from tritonforge.load.timed_link import TimedGrpcLink, TimedHttpLink
from tritonforge.load.trace import Tracer
from tritonforge.load.worker_pipe import read_message, write_message

__all__ = ["main"]

_LANES_PER_CONNECTION = 64
_COLLECT_AFTER = 50_000
_DRAIN_NS = 5 * NS


def main() -> None:
    """Do jobs until standard input ends. After each job comes a byte, which stops it where it still runs."""
    # It is the parent that says when to stop, or its end: a signal to a whole group of processes isn't for this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A connection is an open file: as many as this process may have, whatever the shell's own limit is.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    stdin = os.fdopen(0, "rb", buffering=0)
    # What was imported is never garbage: a collection that looks at it would be a pause in somebody's latency.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    with contextlib.suppress(BrokenPipeError):  # the parent was ended: nobody is left to tell
        _take_jobs(stdin, out)


def _take_jobs(stdin: BinaryIO, out: BinaryIO) -> None:
    write_message(out, Ready())
    while True:
        try:
            job = read_message(stdin)
        except EOFError:
            return
        stopped: list[bytes] = []
        try:
            answer = uvloop.run(_do(job, out, stopped))
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            answer = Finished(f"{type(error).__name__}: {error}")
        except Fault as fault:
            answer = Finished(str(fault))
        write_message(out, answer)
        os.set_blocking(0, True)  # uvloop's reader made it otherwise
        if not stopped:
            stdin.read(1)


class Fault(Exception):
    """A mistake of the generator's own, met in a callback."""


async def _do(job: Job, out: BinaryIO, stopped: list[bytes]) -> Finished:
    """Do a job; give its last word."""
    make = partial(Tracer, job.trace) if job.trace else Recorder
    recorder = make(
        job.windows_ns,
        job.window_ns,
        lambda tally: write_message(out, tally),
        from_first=bool(job.concurrency and job.requests),
        bounds_ns=job.bounds_ns,
    )
    tracer = recorder if isinstance(recorder, Tracer) else None
    pending: set[asyncio.Task[None]] = set()

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
    with tracer or contextlib.nullcontext():
        await _connect(job, drive, drive.lanes[:1], recorder)
        await _connect(job, drive, drive.lanes[1:])
        unanswered = await _load(job, drive, recorder, pending, stopped)
    if faults and isinstance(faults[0], NotAnAnswer):
        raise Fault(str(faults[0]))
    if faults:
        raise Fault("".join(traceback.format_exception(faults[0])).rstrip())
    return Finished(
        untraced=tracer.failure if tracer else None, unanswered_ns=unanswered, failed=tuple(drive.failed_at_end)
    )


async def _load(
    job: Job, drive: Drive, recorder: Recorder, pending: set[asyncio.Task[None]], stopped: list[bytes]
) -> tuple[int, ...]:
    """Load until it is stopped, or stops by itself; give the ages of the requests that had no answer."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(0)
        stopped.append(os.read(0, 1))
        drive.stop()

    loop.add_reader(0, stop)
    drive.start()
    end_ns = job.windows_ns + job.max_windows * job.window_ns + NS // 1000
    try:
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
    finally:
        loop.remove_reader(0)
        for task in pending:
            task.cancel()
        _disconnect(drive)


async def _drain(drive: Drive) -> None:
    """Let what is under way be answered, or reach its timeout.

    A gRPC call that its client breaks off can crash Triton, which then locks a mutex of a call that is gone (seen in
    24.10; its issue 8034, mended in 2025 by pull request 8078).
    """
    end_ns = now_ns() + _DRAIN_NS
    while drive.under_way and now_ns() < end_ns:
        await asyncio.sleep(0.002)
        drive.lapse()


async def _connect(job: Job, events: Events, lanes: list[Lane], timed: Recorder | None = None) -> None:
    """Connect lanes; where `timed`, by connections that tell it of the client's own times."""
    if job.target.tls and job.target.method:
        from tritonforge.load.tls_link import TlsLink

        link = TlsLink(job.target, events, stream=job.payloads[0].stream)
        for lane in lanes:
            lane.link = link
        return
    if not job.target.method:
        for start in range(0, len(lanes), 64):
            make = _http_link(job, timed)
            await asyncio.gather(*(connect_http(job.target, events, lane, make) for lane in lanes[start : start + 64]))
        return
    for start in range(0, len(lanes), _LANES_PER_CONNECTION):
        await _connect_grpc(job, events, lanes[start : start + _LANES_PER_CONNECTION], timed)


def _http_link(job: Job, timed: Recorder | None) -> Callable[[Events, Lane], HttpLink]:
    if any(payload.stream for payload in job.payloads):
        return HttpStreamLink
    return partial(TimedHttpLink, timed) if timed else HttpLink


async def _connect_grpc(job: Job, events: Events, lanes: list[Lane], timed: Recorder | None) -> None:
    loop = asyncio.get_running_loop()
    target = job.target
    make = partial(TimedGrpcLink, timed) if timed else GrpcLink
    _, link = await loop.create_connection(lambda: make(target, events, lanes), target.host, target.port)
    await asyncio.wait_for(link.ready, job.timeout_s)
    for lane in lanes:
        lane.link = link


async def _again(job: Job, drive: Drive, lane: Lane, timed: Recorder | None) -> None:
    """Connect a lane anew, until it works."""
    while not drive.done.is_set():
        try:
            await _connect(job, drive, [lane], timed)
        except (OSError, asyncio.TimeoutError):
            await asyncio.sleep(0.05)
        else:
            drive.connected(lane)
            return


def _disconnect(drive: Drive) -> None:
    for lane in drive.lanes:
        link, lane.link = lane.link, None
        if isinstance(link, GrpcLink):
            link.give_up()
        elif link is not None:
            link.abandon(lane)


if __name__ == "__main__":
    main()
    sys.exit(0)
