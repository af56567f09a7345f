"""Functions that take turns, and what a call of each takes: on the clock, and of the processors."""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import psutil

__all__ = ["Figures", "added_us", "pairs", "take_turns"]


@dataclass
class Figures:
    """What a function's calls took, in microseconds a call, by round; `server` is empty where there was none."""

    wall: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)

    @property
    def wall_us(self) -> float:
        """The median of the clock's."""
        return statistics.median(self.wall)

    def __str__(self) -> str:
        used = f"processors: {statistics.mean(self.client):5.0f} µs here"
        if self.server:
            used += f", {statistics.mean(self.server):5.0f} µs in the server"
        return f"{self.wall_us:8.1f} µs {1e6 / self.wall_us:8.0f}/s   {used}"


def take_turns(
    functions: Mapping[str, Callable[[], object]], rounds: int, calls: int, *, server_pid: int | None = None
) -> dict[str, Figures]:
    """Run each function in each round, after one that doesn't count; `calls` are what one run makes.

    Each round has another order, and no function runs twice in a row: the server's caches would know its requests.
    The server's time is that of its process and those below it, in the ticks of /proc: 10 ms.
    """
    figures = {name: Figures() for name in functions}
    processes = []
    if server_pid is not None:
        server = psutil.Process(server_pid)
        processes = [server, *server.children(recursive=True)]
    for turn, order in enumerate(islice(_orders(list(functions)), rounds + 1)):
        for name in order:
            there = _seconds(processes)
            here, start = _own_seconds(), time.perf_counter()
            functions[name]()
            if not turn:
                continue
            found = figures[name]
            found.wall.append((time.perf_counter() - start) / calls * 1e6)
            found.client.append((_own_seconds() - here) / calls * 1e6)
            if processes:
                found.server.append((_seconds(processes) - there) / calls * 1e6)
    return figures


def pairs(ours: Figures, theirs: Figures) -> float:
    """Give the median of the rounds' ratios: how many times our calls are made while theirs are made once."""
    return statistics.median(their / our for our, their in zip(ours.wall, theirs.wall, strict=True))


def added_us(call: Figures, least: Figures) -> float:
    """Give the median of the rounds' differences: what a call takes beyond the least, in microseconds."""
    return statistics.median(one - other for one, other in zip(call.wall, least.wall, strict=True))


def _orders(names: list[str]) -> Iterator[list[str]]:
    """Give orders by chance, the same each time, in which none begins with the end of the one before."""
    chance, last = random.Random(0), ""
    while True:
        order = chance.sample(names, len(names))
        if order[0] != last or len(names) == 1:
            last = order[-1]
            yield order


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
