"""The connections of a job: all before it starts, and one anew where it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from tritonforge.load.errors import LoadFailed
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.grpc import GrpcLink
from tritonforge.load.links.http import HttpLink
from tritonforge.load.links.http import connect as connect_http
from tritonforge.load.links.http_stream import HttpStreamLink
from tritonforge.load.links.lane import Events, Lane
from tritonforge.load.links.timed import TimedGrpcLink, TimedHttpLink
from tritonforge.load.workers.job import Job

__all__ = ["connect", "connect_all", "disconnect"]

_LANES_PER_CONNECTION = 64
_AT_ONCE, _PAUSE_S = 4, 0.001
"""A server has few places (asyncio's 100, http.server's 5) for connections that it hasn't accepted yet. One that finds
none is there a second later."""
_PATIENCE_S = 10.0


async def connect_all(job: Job, events: Events, lanes: Sequence[Lane], timed: Recorder) -> None:
    """Connect all lanes of a job, the first one such that it tells of the client's own times.

    Raise OSError where there is no connection, LoadFailed where for a while no other one is made.
    """
    connecting = asyncio.ensure_future(_connect_in_turn(job, events, lanes, timed))
    made = -1
    try:
        while not connecting.done():
            before, made = made, sum(lane.link is not None for lane in lanes)
            if made == before:
                raise LoadFailed(_lacking(made, len(lanes)))
            await asyncio.wait((connecting,), timeout=_PATIENCE_S)
        connecting.result()
    finally:
        connecting.cancel()


def _lacking(made: int, wanted: int) -> str:
    return (
        f"of {wanted} requests at a time {made} have a connection, and for {_PATIENCE_S:g} s no other has got one: the "
        "server may take no more; ask for fewer (concurrency, or max_in_flight of an open loop)"
    )


async def _connect_in_turn(job: Job, events: Events, lanes: Sequence[Lane], timed: Recorder) -> None:
    await connect(job, events, lanes[:1], timed)
    await connect(job, events, lanes[1:])


async def connect(job: Job, events: Events, lanes: Sequence[Lane], timed: Recorder | None = None) -> None:
    """Connect lanes; where `timed`, by connections that tell it of the client's own times."""
    if not job.target.method:
        await _connect_http(job, events, lanes, _http_link(job, timed))
    elif job.target.tls:
        await _connect_tls(job, events, lanes)
    else:
        for start in range(0, len(lanes), _LANES_PER_CONNECTION):
            await _connect_grpc(job, events, lanes[start : start + _LANES_PER_CONNECTION], timed)


async def _connect_http(
    job: Job, events: Events, lanes: Sequence[Lane], make: Callable[[Events, Lane], HttpLink]
) -> None:
    connecting = []
    for place, lane in enumerate(lanes):
        if place and not place % _AT_ONCE:
            await asyncio.sleep(_PAUSE_S)
        connecting.append(asyncio.ensure_future(connect_http(job.target, events, lane, make)))
    await asyncio.gather(*connecting)


def _http_link(job: Job, timed: Recorder | None) -> Callable[[Events, Lane], HttpLink]:
    if any(payload.stream for payload in job.payloads):
        return HttpStreamLink
    return partial(TimedHttpLink, timed) if timed else HttpLink


async def _connect_tls(job: Job, events: Events, lanes: Sequence[Lane]) -> None:
    from tritonforge.load.links.tls import TlsLink

    link = TlsLink(job.target, events, stream=job.payloads[0].stream)
    await link.connect()
    for lane in lanes:
        lane.link = link


async def _connect_grpc(job: Job, events: Events, lanes: Sequence[Lane], timed: Recorder | None) -> None:
    loop = asyncio.get_running_loop()
    target = job.target
    make = partial(TimedGrpcLink, timed) if timed else GrpcLink
    _, link = await loop.create_connection(lambda: make(target, events, list(lanes)), target.host, target.port)
    await asyncio.wait_for(link.ready, job.timeout_s)
    for lane in lanes:
        lane.link = link


def disconnect(lanes: Sequence[Lane]) -> None:
    """Close all connections without a word of it."""
    for lane in lanes:
        link, lane.link = lane.link, None
        if isinstance(link, GrpcLink):
            link.give_up()
        elif link is not None:
            link.abandon(lane)
