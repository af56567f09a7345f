"""Rows of the comparison under load, taking turns; and what each measurement keeps."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from environments import Running
from peers import TRITONFORGE, Peer
from tasks import Task, request
from wrk_json import load_json

from tritonforge.load import Data, Load, LoadFailed, ModelLoad, Point, Session, Settings
from tritonforge.load.observed.processes import between, usage

__all__ = ["Bench", "Row", "rows_of"]

IDLE_S = 1.0
WARMUP_S = 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """A server as it is asked: JSON for the comparison, other bodies and protocols of ours beside it."""

    key: str
    name: str
    body: str
    settings: Settings
    pid: int


def rows_of(peer: Peer, task: Task, server: Running, folder: Path) -> list[Row]:
    """Give a server's row; for tritonforge also those of binary tensors over HTTP and of gRPC."""
    plain = ModelLoad("classifier", request=request(peer, task))
    rows = [Row(peer.key, peer.name, "JSON", Settings(server.url, (plain,)), server.pid)]
    if peer is TRITONFORGE:
        np.savez(folder / "row.npz", **{task.input: task.rows[:1]})
        ours = (ModelLoad("fused", data=Data(str(folder / "row.npz"))),)
        for body, url in (("binary", server.url), ("gRPC", f"grpc://127.0.0.1:{server.ports[1]}")):
            rows.append(Row(peer.key, peer.name, body, Settings(url, ours, server_statistics=False), server.pid))
    return rows


@dataclass(slots=True)
class Found:
    """The figures of one row at one concurrency, one of each a round."""

    rates: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    server_cpu_us: list[float] = field(default_factory=list)
    generator_cpu_us: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    def add(self, point: Point) -> None:
        """Keep what a measurement gave; CPU time is by request."""
        rate = point.request_rate.value
        self.rates.append(rate)
        self.p50_us.append(point.latency.p50_us.value)
        self.p99_us.append(point.latency.p99_us.value)
        if point.processes is not None and rate:
            self.server_cpu_us.append(point.processes.cpu_cores * 1e6 / rate)
            self.generator_cpu_us.append(point.generator.cpu_share * 1e6 / rate)
        for error in point.errors:
            words = f"{error.kind}: {error.example}"
            self.errors[words] = self.errors.get(words, 0) + error.count


class Bench:
    """Sessions of all rows, open for the block."""

    def __init__(self, rows: list[Row], seconds: float) -> None:
        self._rows, self._seconds = rows, seconds
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self._sessions = [
            self._stack.enter_context(Session(self._timed(row.settings), server_pid=row.pid)) for row in self._rows
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, task: str, concurrencies: list[int], rounds: int) -> list[dict[str, Any]]:
        """Measure every row at every concurrency, in turns; a first round of half the time warms, and isn't kept."""
        idle, made = self._idle(), []
        for concurrency in concurrencies:
            found = [Found() for _ in self._rows]
            order = list(range(len(self._rows)))
            for number in range(rounds + 1):
                for place in order:
                    self._measure(place, concurrency, found[place], kept=number > 0)
                order.reverse()
            for row, figures in zip(self._rows, found, strict=True):
                made.append(_point(task, row, concurrency, figures) | {"idle_cores": idle[row.pid]})
                rate, p99 = statistics.median(figures.rates or [0.0]), statistics.median(figures.p99_us or [0.0])
                words = f"{rate:8.0f}/s, p99 {p99 / 1000:7.2f} ms"
                print(f"{task}, concurrency {concurrency:2}: {row.name:24} {row.body:7} {words}", flush=True)
        return made + self._control(task, max(concurrencies), idle)

    def _measure(self, place: int, concurrency: int, found: Found, *, kept: bool) -> None:
        try:
            point = self._sessions[place].measure(Load("concurrency", concurrency), windows=2 if kept else 1)
        except LoadFailed as error:
            found.errors[str(error)] = found.errors.get(str(error), 0) + 1
        else:
            if kept:
                found.add(point)

    def _control(self, task: str, concurrency: int, idle: dict[int, float]) -> list[dict[str, Any]]:
        """Measure each row of JSON once more by wrk, where that is installed: another generator, the same picture."""
        if shutil.which("wrk") is None:
            return []
        made = []
        with tempfile.TemporaryDirectory() as folder:
            for row in self._rows:
                asked = row.settings.models[0].request
                if asked is None:
                    continue
                url, seconds = row.settings.url + asked.path, max(1, round(self._seconds))
                try:
                    seen = load_json(url, asked.body, Path(folder), concurrency=concurrency, seconds=seconds)
                except (RuntimeError, subprocess.SubprocessError) as error:
                    figures = Found(errors={str(error): 1})
                else:
                    figures = Found([seen.rate], [seen.p50_us], [seen.p99_us])
                control = replace(row, body="JSON, wrk")
                made.append(_point(task, control, concurrency, figures) | {"idle_cores": idle[row.pid]})
        return made

    def _idle(self) -> dict[int, float]:
        """Say how many cores each server takes while nobody asks it anything."""
        before = {row.pid: usage(row.pid) for row in self._rows}
        time.sleep(IDLE_S)
        return {pid: between(used, usage(pid)).cpu_cores for pid, used in before.items()}

    def _timed(self, settings: Settings) -> Settings:
        return replace(settings, window_s=self._seconds / 2, warmup_s=WARMUP_S)


def _point(task: str, row: Row, concurrency: int, figures: Found) -> dict[str, Any]:
    named = {"task": task, "key": row.key, "name": row.name, "body": row.body, "concurrency": concurrency}
    return named | asdict(figures)
