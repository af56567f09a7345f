"""A process that loads: jobs in on standard input, tallies out on standard output, each a length and a pickle.

    python -m tritonforge.load.worker

The parent is another process, so that what it does (statistics, progress) takes no time from the event loop here.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import BinaryIO

import uvloop

from tritonforge.load.clock import NS, now_ns
from tritonforge.load.drive import Drive
from tritonforge.load.grpc_link import GrpcLink
from tritonforge.load.http_link import connect as connect_http
from tritonforge.load.job import Finished, Job
from tritonforge.load.lane import Lane
from tritonforge.load.recorder import Recorder
from tritonforge.load.worker_pipe import read_message, write_message

__all__ = ["main"]

_LANES_PER_CONNECTION = 64


def main() -> None:
    """Do jobs until standard input ends. After each job comes a byte, which stops it where it still runs."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stdin = os.fdopen(0, "rb", buffering=0)
    while True:
        try:
            job = read_message(stdin)
        except EOFError:
            return
        stopped: list[bytes] = []
        try:
            uvloop.run(_do(job, out, stopped))
            answer = Finished()
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            answer = Finished(f"{type(error).__name__}: {error}")
        write_message(out, answer)
        os.set_blocking(0, True)  # uvloop's reader made it otherwise
        if not stopped:
            stdin.read(1)


async def _do(job: Job, out: BinaryIO, stopped: list[bytes]) -> None:
    recorder = Recorder(job.windows_ns, job.window_ns, lambda tally: write_message(out, tally))
    pending: set[asyncio.Task[None]] = set()

    def reconnect(lane: Lane) -> None:
        task = asyncio.get_running_loop().create_task(_again(job, drive, lane))
        pending.add(task)
        task.add_done_callback(pending.discard)

    drive = Drive(job, recorder, reconnect)
    drive.lanes = [Lane() for _ in range(job.concurrency or job.max_in_flight)]
    await _connect(job, drive, drive.lanes)
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
    finally:
        loop.remove_reader(0)
        for task in pending:
            task.cancel()
        _disconnect(drive)


async def _connect(job: Job, drive: Drive, lanes: list[Lane]) -> None:
    if job.target.tls and job.target.method:
        from tritonforge.load.tls_link import TlsLink

        link = TlsLink(job.target, drive, stream=job.payloads[0].stream)
        for lane in lanes:
            lane.link = link
        return
    if not job.target.method:
        for start in range(0, len(lanes), 64):
            await asyncio.gather(*(connect_http(job.target, drive, lane) for lane in lanes[start : start + 64]))
        return
    for start in range(0, len(lanes), _LANES_PER_CONNECTION):
        await _connect_grpc(job, drive, lanes[start : start + _LANES_PER_CONNECTION])


async def _connect_grpc(job: Job, drive: Drive, lanes: list[Lane]) -> None:
    loop = asyncio.get_running_loop()
    target = job.target
    _, link = await loop.create_connection(lambda: GrpcLink(target, drive, lanes), target.host, target.port)
    await asyncio.wait_for(link.ready, job.timeout_s)
    for lane in lanes:
        lane.link = link


async def _again(job: Job, drive: Drive, lane: Lane) -> None:
    """Connect a lane anew, until it works."""
    while not drive.done.is_set():
        try:
            await _connect(job, drive, [lane])
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
