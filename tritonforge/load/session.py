"""A server under load: its models known, the requests prepared, the worker processes up. Points are measured in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

from tritonforge.load.address import parse_address
from tritonforge.load.errors import InvalidLoad, LoadFailed
from tritonforge.load.exports.profile_export import ProfileExport
from tritonforge.load.figures.breakdown import break_down, send_overlaps
from tritonforge.load.figures.little import few_under_way, left_over
from tritonforge.load.figures.merge import make_point
from tritonforge.load.input.data import as_loaded, guessed_sizes
from tritonforge.load.input.payloads import make_payloads
from tritonforge.load.input.shared_memory import Regions
from tritonforge.load.input.signature import ServedModel, read_model
from tritonforge.load.observed.control import check_listening, connect
from tritonforge.load.observed.processes import Usage, between, find_server, usage
from tritonforge.load.observed.readings import Readings
from tritonforge.load.observed.statistics import (
    RESTRICTED,
    WITHOUT,
    Counters,
    apart,
    difference,
    meanwhile,
    mostly_others,
    read_counters,
)
from tritonforge.load.pacing.clock import NS, now_ns
from tritonforge.load.pacing.schedule import schedule_of
from tritonforge.load.results import Point
from tritonforge.load.run import UNLIMITED, Run
from tritonforge.load.settings import Load, Settings
from tritonforge.load.settings_check import check_settings
from tritonforge.load.workers.job import Job, Start, Tally, Target
from tritonforge.load.workers.parent import Workers
from tritonforge.load.workers.shares import check_connections, most_processes, share_of

__all__ = ["Progress", "Session"]

Progress = Callable[[Point], None]
"""Told of a point after its windows: the figures so far."""

_PROGRESS_REST = 10
"""How many times as long as the figures so far take, none are made: of hundreds of windows they would cost windows."""

_SOON_NS = NS // 20
"""How far ahead a start is set, so that it reaches all processes before."""
_NAMED = 20
_UNTIMED = "client send and client receive are not known, and in the time of the network: no request was timed"
_MIXTURE = "latencies are of the mixture of the models; measure each by itself for its own"
_NO_BREAKDOWN = (
    "where the mean latency goes isn't told: the server's mean request took longer than the client's, so that they are "
    "not the same requests"
)
_OVERLAP = (
    "client send reaches into the server's time of a request, as where both share processors: of it the table has what "
    "that leaves, and the network's time is in it"
)
_NO_BINARY = (
    "the server doesn't have the extension for binary tensors, which were sent: carry them as JSON, with body json"
)
_NOTHING_COUNTED = (
    "the server counted no request between the windows' edges, at which its statistics are read, a little late: its "
    "own figures are not told"
)
_NO_STATISTICS = "the server doesn't have the extension for statistics: its own figures are not told"


class Session:
    """Loads one server. Use it in a `with` block; `measure` may be called any number of times.

    `server_pid` names the process above all of the server's, where that isn't the one that listens. Into `export` go
    the times of every request.

    Raise InvalidLoad where the settings can't be carried out, LoadFailed where the server doesn't answer.
    """

    def __init__(
        self, settings: Settings, *, server_pid: int | None = None, export: ProfileExport | None = None
    ) -> None:
        self.settings = settings
        self._pid = server_pid
        self._export = export
        self._plain = all(load.request is not None for load in settings.models)
        self._address = parse_address(settings.url)
        check_settings(settings)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Session:
        with contextlib.ExitStack() as stack:
            self._control = connect(self._address, self.settings.headers, self.settings.tls)
            stack.callback(self._control.close)
            self._regions = stack.enter_context(Regions(self._control))
            self.server = {} if self._plain else self._control.server()
            told = not self._plain and "statistics" in self.server.get("extensions", ())
            self._asks = self.settings.server_statistics and told
            if self.settings.shared_memory == "system" and not self._plain:
                self._check_shared_memory()
            self._lacks = self.settings.server_statistics and not told and not self._plain
            loads = [load for load in self.settings.models if load.request is None]
            self.models = {load.name: as_loaded(self._served(load.name, load.version), load) for load in loads}
            self._of_input = guessed_sizes(self.models, loads)
            self._composing = self._steps()
            self._payloads = make_payloads(
                self.settings, self._address, self.models, self._known, self._regions, self._of_input.append
            )
            if self._pid is None:
                self._pid = find_server(self._address.host, self._address.port)
            self._workers = stack.enter_context(Workers(self.settings.processes))
            self._workers.wait_ready()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def measure(self, load: Load, *, windows: int | None = None, on_window: Progress | None = None) -> Point:
        """Measure at one load: until stable, or as long as the settings or `windows` say.

        With `windows`, exactly as many are measured, whether they agree or not. Raise LoadFailed where the load can't
        go on, ServerGone where that is since nobody listens any more.
        """
        try:
            return self._measure(load, windows, on_window)
        except LoadFailed:
            check_listening(self._address)
            raise

    def _measure(self, load: Load, windows: int | None, on_window: Progress | None) -> Point:
        check_connections(load, self.settings)
        run = Run(load, self.settings, windows)
        if load.given and self.settings.warmup_s:
            self._warm_up()
        leads = not load.given and (self.settings.warmup_s or self.settings.ramp_s)
        jobs = self._jobs(run)
        try:
            self._workers.connect(jobs)
            # Without a warm-up the first window begins with the load: the server's counters are to be read by then.
            before = None if leads else self._counters()
            self._start(run)
            self._collect(run, before, on_window)
        finally:
            self._workers.stop()
            self._write_down(run, jobs)
        if not run.windows:
            raise LoadFailed(f"{self.settings.url}: nothing ended in the time of the measurement at {load}")
        run.fail(self._workers.failed)
        if any(error.startswith("connection") for error in self._workers.failed):
            check_listening(self._address)
        return self._point(run)

    def _write_down(self, run: Run, jobs: Sequence[Job]) -> None:
        """Put the requests of a run's measured windows into the export, if there is one."""
        if self._export is None:
            return
        if self._workers.untraced is not None:
            self._export.fail(self._workers.untraced)
        if run.windows:
            edges = run.boundaries_ns[-1 - run.measured :]
            counted_ns = max(edges[0], run.windows_ns)  # what ended in a lead is in no window
            self._export.add(run.load, [Path(job.trace) for job in jobs], edges, counted_ns=counted_ns)

    def _warm_up(self) -> None:
        """Load with a request at a time before given times, none of which may be spent on it."""
        run = Run(Load("concurrency", 1), replace(self.settings, ramp_s=0.0), 1)
        try:
            self._workers.connect([replace(job, trace="") for job in self._jobs(run)])
            self._start(run)
            self._gather(run, run.windows_ns)
        finally:
            self._workers.stop()

    def _start(self, run: Run) -> None:
        """Start a load whose connections are there."""
        run.begin(now_ns() + _SOON_NS)
        self._workers.start(Start(run.start_ns, run.windows_ns))

    def _collect(self, run: Run, before: Counters | None, on_window: Progress | None) -> None:
        readings = Readings(
            self._counters,
            self._usage,
            first_ns=run.windows_ns,
            step_ns=run.window_ns,
            last=run.limit,
            sparse=run.whole,
            before=before,
        )
        with readings:
            self._gather(run, run.windows_ns)
            run.note(readings.take())
            self._collect_windows(run, readings, on_window)

    def _collect_windows(self, run: Run, readings: Readings, on_window: Progress | None) -> None:
        due_ns = 0
        while not run.over():
            index = run.seen
            self._gather(run, run.windows_ns + (index + 1) * run.window_ns)
            reading = readings.take() if self._workers.running else None
            run.note(reading)
            deadline = now_ns() + 10 * NS
            while self._workers.running and len(run.tallies.get(index, ())) < run.parts:
                if now_ns() > deadline:
                    raise LoadFailed("the load generator doesn't keep up: a window's figures didn't come within 10 s")
                self._take(run, self._workers.next_tally(0.1))
            if not self._workers.running:
                for reading in readings.rest():
                    run.note(reading)
            # Its statistics would have told, but on a connection that a server keeps while it stops, and closes others.
            # A window in which it went away is no figure of it.
            cut_off, asked = run.cut_off(index), self._asks and reading is not None
            if self._workers.running and (cut_off or (not asked and run.troubled(index))):
                check_listening(self._address, closing=cut_off)
            run.close(index)
            if run.dead:
                raise LoadFailed(f"{self.settings.url}: nothing ended for {run.idle_ns / NS:g} s; is it still there?")
            shown = on_window is not None and run.windows and reading is not None
            if on_window is not None and shown and (asked_ns := now_ns()) >= due_ns:
                on_window(self._point(run))
                due_ns = now_ns() + _PROGRESS_REST * (now_ns() - asked_ns)
            if not self._workers.running:
                run.end()
                return

    def _gather(self, run: Run, until_ns: int) -> None:
        while self._workers.running and (left := until_ns - now_ns()) > 0:
            self._take(run, self._workers.next_tally(left / NS))

    @staticmethod
    def _take(run: Run, tally: Tally | None) -> None:
        if tally is not None:
            run.tallies.setdefault(tally.index, []).append(tally)

    def _counters(self) -> Counters:
        if not self._asks:
            return {}
        try:
            return read_counters(self._control.statistics())
        except ValueError as error:
            raise LoadFailed(f"{self._address}: its statistics are none of Triton's: {error}; {WITHOUT}") from error
        except LoadFailed as error:
            if not RESTRICTED.search(str(error)):
                raise
            raise LoadFailed(f"{error}; {WITHOUT}") from error

    def _usage(self) -> Usage | None:
        return usage(self._pid) if self._pid is not None else None

    def _point(self, run: Run) -> Point:
        point = make_point(
            run.load,
            self.settings,
            run.windows,
            run.measured,
            agreed=run.agreed,
            unanswered_ns=self._workers.unanswered_ns,
            failed_after=run.failed_after,
        )
        before, after = run.readings[0], run.readings[-1]
        server = difference(before.counters, after.counters, self._composing)
        # Requests of ensembles to a model of the load are counted there too.
        comparable = not self._composed & set(self.models)
        in_flight = point.load.value if point.load.kind == "concurrency" else 2 * point.in_flight
        others = comparable and mostly_others(server, point.requests, point.failed, in_flight)
        breakdown = break_down(
            point.latency,
            point.latency_uncorrected,
            () if others else server,
            {name for name, served in self._known.items() if served.steps},
            client_us=(point.client_send_us, point.client_receive_us),
            streams=self._any_streams,
        )
        point = replace(
            point,
            server=server,
            processes=between(before.used, after.used) if before.used and after.used and after.used.cpu_ns else None,
            breakdown=breakdown,
            server_of_others=others,
        )
        late = meanwhile(point.windows, run.late_ns(run.measured))
        counted = apart(server, point.requests, point.failed, in_flight, late, streams=self._any_streams)
        notes = (*self._notes(point), counted if comparable else "", run.drift())
        warnings = (*point.generator.warnings, *filter(None, notes))
        return replace(point, generator=replace(point.generator, warnings=warnings))

    def _notes(self, point: Point) -> tuple[str, ...]:
        """Say what is to be known beside a point's figures; empty texts where it isn't so."""
        untimed = point.requests and not self._any_streams and None in (point.client_send_us, point.client_receive_us)
        # Of a number of requests each process has its share, and may be through with it before the others.
        apart_ends = self.settings.requests is not None and self.settings.processes > 1
        return (
            *self._of_input,
            _NO_STATISTICS if self._lacks else "",
            _UNTIMED if untimed else "",
            _MIXTURE if len(self.settings.models) > 1 else "",
            "" if apart_ends else few_under_way(point),
            left_over(point),
            _NOTHING_COUNTED if self._asks and point.requests and not point.server else "",
            _NO_BREAKDOWN if point.requests and point.server and not point.breakdown else "",
            _OVERLAP if send_overlaps(point) else "",
            _NO_BINARY if point.failed and self._binary_in_vain else "",
        )

    @property
    def _binary_in_vain(self) -> bool:
        binary = not self._address.grpc and self.settings.body == "binary" and not self._plain
        return binary and "binary_tensor_data" not in self.server.get("extensions", ())

    @property
    def _composed(self) -> set[str]:
        return {step for served in self._known.values() for step in served.steps}

    @property
    def _any_streams(self) -> bool:
        return any(payload.stream for payload in self._payloads)

    def _check_shared_memory(self) -> None:
        if "system_shared_memory" not in self.server.get("extensions", ()):
            raise InvalidLoad(
                f"{self._address}: the server doesn't have the extension for system shared memory: leave shared_memory "
                "out"
            )

    def _served(self, name: str, version: str) -> ServedModel:
        try:
            metadata = self._control.metadata(name, version)
        except LoadFailed as error:
            served = self._names()
            names = sorted({each for each, _ in served})
            versions = [number for each, number in served if each == name]
            if not names or (name in names and (not version or version in versions)):
                raise
            if name in names:
                raise LoadFailed(
                    f"{self.settings.url} has no version {version!r} of {name}; it serves {', '.join(versions)}"
                ) from error
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}" if near else f"it serves {', '.join(names[:_NAMED])}"
            raise LoadFailed(f"{self.settings.url} has no model {name!r}; {hint}") from error
        return read_model(metadata, self._control.config(name, version))

    def _names(self) -> list[tuple[str, str]]:
        """Ask for the models and versions that are there: statistics name them, also where the index wants a key."""
        try:
            return sorted(read_counters(self._control.statistics()))
        except (LoadFailed, ValueError):
            return []

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

    def _jobs(self, run: Run) -> list[Job]:
        settings, address = self.settings, self._address
        service = "/inference.GRPCInferenceService/"
        method = service + ("ModelStreamInfer" if self._payloads[0].stream else "ModelInfer") if address.grpc else ""
        tls = settings.tls if address.tls else None
        target = Target(address.host, address.port, method, tls, tuple(settings.headers.items()))
        concurrency = int(run.load.value) if run.load.kind == "concurrency" else 0
        parts = run.parts = most_processes(run.load, replace(settings, requests=run.requests))
        export = self._export if self._export is not None and self._export.failure is None else None
        traces = [""] * parts if export is None else [str(path) for path in export.traces(parts)]
        return [
            Job(
                target,
                self._payloads,
                run.window_ns,
                UNLIMITED,
                share_of(concurrency, part, parts),
                settings.ramp_s,
                None if concurrency else schedule_of(run.load, settings),
                part,
                parts,
                share_of(run.requests, part, parts) if run.requests else None,
                max(1, share_of(settings.max_in_flight, part, parts)),
                settings.timeout_s,
                traces[part],
                tuple(dict.fromkeys(slo.limit_ns for slo in settings.slo)),
            )
            for part in range(parts)
        ]
