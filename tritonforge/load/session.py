"""A server under load: its models known, the requests prepared, the worker processes up. Points are measured in it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from tritonforge.load.address import parse_address
from tritonforge.load.breakdown import break_down
from tritonforge.load.clock import NS, now_ns
from tritonforge.load.control import connect
from tritonforge.load.data import make_samples
from tritonforge.load.errors import InvalidLoad, LoadFailed
from tritonforge.load.job import Job, Payload, Tally, Target
from tritonforge.load.merge import make_point
from tritonforge.load.prepare import Wanted, prepare
from tritonforge.load.processes import between, find_server, usage
from tritonforge.load.results import Point
from tritonforge.load.run import UNLIMITED, Run
from tritonforge.load.schedule import Schedule
from tritonforge.load.settings import Load, ModelLoad, Settings
from tritonforge.load.shared_memory import Regions
from tritonforge.load.signature import ServedModel, read_model
from tritonforge.load.statistics import difference, read_counters
from tritonforge.load.workers import Workers

__all__ = ["Progress", "Session"]

Progress = Callable[[Point], None]
"""Told of a point after each of its windows: the figures so far."""

_MIX = 1024


class Session:
    """Loads one server. Use it in a `with` block; `measure` may be called any number of times.

    Raise InvalidLoad where the settings can't be carried out, LoadFailed where the server doesn't answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._address = parse_address(settings.url)
        _check(settings)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Session:
        with contextlib.ExitStack() as stack:
            self._control = connect(self._address, self.settings.headers)
            stack.callback(self._control.close)
            self._regions = stack.enter_context(Regions(self._control))
            self.server = self._control.server()
            self.models = {load.name: self._served(load.name, load.version) for load in self.settings.models}
            self._composing = self._steps()
            self._payloads = self._prepare()
            self._pid = find_server(self._address.host, self._address.port)
            self._workers = stack.enter_context(Workers(self.settings.processes))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def measure(self, load: Load, *, windows: int | None = None, on_window: Progress | None = None) -> Point:
        """Measure at one load: until stable, or as long as the settings or `windows` say.

        With `windows`, exactly as many are measured, whether they agree or not.
        """
        run = Run(load, self.settings, windows)
        self._workers.start(self._jobs(run))
        try:
            self._collect(run, on_window)
        finally:
            self._workers.stop()
        if not run.windows:
            raise LoadFailed(f"{self.settings.url}: nothing ended in the time of the measurement at {load}")
        return self._point(run)

    def _collect(self, run: Run, on_window: Progress | None) -> None:
        self._gather(run, run.windows_ns)
        self._snapshot(run)
        while not run.over():
            index = run.seen
            self._gather(run, run.windows_ns + (index + 1) * run.window_ns)
            self._snapshot(run)
            deadline = now_ns() + 10 * NS
            while self._workers.running and len(run.tallies.get(index, ())) < run.parts:
                if now_ns() > deadline:
                    raise LoadFailed("the load generator doesn't keep up: a window's figures didn't come within 10 s")
                self._take(run, self._workers.next_tally(0.1))
            run.close(index)
            if on_window is not None and run.windows:
                on_window(self._point(run))
            if not self._workers.running:
                for rest in sorted(run.tallies):
                    run.close(rest)
                return

    def _gather(self, run: Run, until_ns: int) -> None:
        while self._workers.running and (left := until_ns - now_ns()) > 0:
            self._take(run, self._workers.next_tally(left / NS))

    @staticmethod
    def _take(run: Run, tally: Tally | None) -> None:
        if tally is not None:
            run.tallies.setdefault(tally.index, []).append(tally)

    def _snapshot(self, run: Run) -> None:
        counters = read_counters(self._control.statistics()) if self.settings.server_statistics else {}
        used = usage(self._pid) if self._pid is not None else None
        run.note(counters, used)

    def _point(self, run: Run) -> Point:
        measured = len(run.windows) if run.whole else min(run.stable_windows, len(run.windows))
        point = make_point(run.load, self.settings, run.windows, measured, agreed=run.agreed)
        (before, used_before), (after, used_after) = run.snapshots[0], run.snapshots[-1]
        server = difference(before, after, self._composing)
        return replace(
            point,
            server=server,
            processes=between(used_before, used_after) if used_before and used_after else None,
            breakdown=break_down(
                point.latency,
                point.latency_uncorrected,
                server,
                {name for name, served in self._known.items() if served.steps},
            ),
        )

    def _served(self, name: str, version: str) -> ServedModel:
        return read_model(self._control.metadata(name, version), self._control.config(name, version))

    def _steps(self) -> dict[str, bool]:
        """Find the models of the load and, below them, the steps of ensembles."""
        self._known = dict(self.models)
        found = dict.fromkeys(self.models, False)
        waiting = [step for served in self.models.values() for step in served.steps]
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = True
                self._known[name] = self._served(name, "")
                waiting.extend(self._known[name].steps)
        return found

    def _prepare(self) -> tuple[Payload, ...]:
        by_model = [self._payloads_of(load) for load in self.settings.models]
        if len(by_model) == 1:
            return tuple(by_model[0])
        draw = random.Random(self.settings.seed)
        order = draw.choices(range(len(by_model)), [load.weight for load in self.settings.models], k=_MIX)
        turns = [0] * len(by_model)
        mixed = []
        for model in order:
            mixed.append(by_model[model][turns[model] % len(by_model[model])])
            turns[model] += 1
        return tuple(mixed)

    def _payloads_of(self, load: ModelLoad) -> list[Payload]:
        served = self.models[load.name]
        if served.decoupled and not self._address.grpc:
            raise InvalidLoad(f"{load.name} is decoupled: its streams need gRPC; the URL is {self.settings.url}")
        if load.data.check and self._streams():
            raise InvalidLoad(f"{load.name}: answers of streams can't be checked; leave check out")
        if served.sequences and not load.sequence_length:
            raise InvalidLoad(f"{load.name} takes sequences: set sequence_length, the number of requests in each")
        wanted = Wanted(
            self._address,
            load.name,
            load.version,
            self.settings.body,
            tuple(self.settings.headers.items()),
            load.sequence_length,
            self._streams(),
            load.data.tolerance,
        )
        payloads = []
        for sample in make_samples(served, load, self.settings.seed):
            regions = self._regions.place(sample.inputs) if self.settings.shared_memory == "system" else None
            payloads.append(prepare(wanted, sample.inputs, sample.expected, regions))
        return payloads

    def _streams(self) -> bool:
        return any(served.decoupled for served in self.models.values())

    def _jobs(self, run: Run) -> list[Job]:
        settings, address = self.settings, self._address
        service = "/inference.GRPCInferenceService/"
        method = service + ("ModelStreamInfer" if self._streams() else "ModelInfer") if address.grpc else ""
        target = Target(address.host, address.port, method, address.tls, tuple(settings.headers.items()))
        concurrency = int(run.load.value) if run.load.kind == "concurrency" else 0
        parts = min(settings.processes, concurrency or settings.processes, run.requests or settings.processes)
        lanes = concurrency or settings.max_in_flight
        run.begin(parts, now_ns() + NS // 5 + lanes * NS // 1000)
        return [
            Job(
                target,
                self._payloads,
                run.start_ns,
                run.windows_ns,
                run.window_ns,
                UNLIMITED,
                _share(concurrency, part, parts),
                settings.ramp_s,
                None if concurrency else _schedule(run.load, settings),
                part,
                parts,
                _share(run.requests, part, parts) if run.requests else None,
                max(1, _share(settings.max_in_flight, part, parts)),
                settings.timeout_s,
            )
            for part in range(parts)
        ]


def _schedule(load: Load, settings: Settings) -> Schedule:
    return Schedule(
        load.value,
        settings.arrivals,
        settings.gamma_shape,
        settings.burst,
        settings.ramp_s,
        settings.seed,
        settings.times_s if load.kind in ("schedule", "replay") else (),
        settings.repeat_s,
    )


def _share(total: int, part: int, parts: int) -> int:
    return total // parts + (part < total % parts)


def _check(settings: Settings) -> None:
    """Raise InvalidLoad for what can't be."""
    problems = (
        (not settings.models, "no model is named"),
        (settings.window_s <= 0, f"window_s is {settings.window_s:g}; it is above 0"),
        (settings.processes < 1, f"processes is {settings.processes}; it is at least 1"),
        (settings.max_in_flight < 1, f"max_in_flight is {settings.max_in_flight}; it is at least 1"),
        (settings.burst < 1, f"burst is {settings.burst}; it is at least 1"),
        (settings.stable_windows < 1, f"stable_windows is {settings.stable_windows}; it is at least 1"),
        (settings.max_windows < 1, f"max_windows is {settings.max_windows}; it is at least 1"),
        (settings.requests is not None and settings.requests < 1, "requests is below 1"),
        (settings.duration_s is not None and settings.duration_s <= 0, "duration_s is not above 0"),
        (
            any(load.kind in ("schedule", "replay") for load in settings.loads) and not settings.times_s,
            "a schedule or replay has no times_s",
        ),
        (any(not load.value > 0 for load in settings.loads), "a load is not above 0"),
        (any(model.weight <= 0 for model in settings.models), "a model's weight is not above 0"),
    )
    for found, text in problems:
        if found:
            raise InvalidLoad(text)
