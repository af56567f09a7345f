"""What a sweep found. Latencies are in microseconds, histograms in nanoseconds; intervals are of 95 %, over windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tritonforge.load.codec import decode, encode
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.settings import Load, Settings

__all__ = [
    "Environment",
    "Errors",
    "Estimate",
    "Generator",
    "Latency",
    "ModelStatistics",
    "Point",
    "Report",
    "ServerProcesses",
    "Step",
    "Window",
]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over all windows, and its 95 % confidence interval (None: fewer than two windows).

    `low` is 0 where the interval would reach below it.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float | None:
        """How far the interval reaches to either side, also where 0 cuts it off below."""
        return None if self.high is None else self.high - self.value


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of times. Percentiles are those of the pooled values, by perf_analyzer's rank."""

    mean_us: Estimate
    std_us: Estimate
    min_us: Estimate
    max_us: Estimate
    p50_us: Estimate
    p90_us: Estimate
    p95_us: Estimate
    p99_us: Estimate
    p999_us: Estimate
    histogram: Histogram

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.histogram.count

    def percentile_us(self, percent: float) -> float:
        """Give any percentile of the pooled values, without an interval."""
        return self.histogram.percentile(percent) / 1000


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed requests of one kind (`HTTP 400`, `wrong answer`, `malformed answer`, `timeout`) and one's words."""

    kind: str
    count: int
    example: str = ""
    models: Mapping[str, int] = field(default_factory=dict)
    """Of a mix: how many were which model's, as far as that is known."""
    after: int = 0
    """How many of them were under way at the end, and failed in the wait for them."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window: the requests that ended in it. `start_s` counts from the start of the first window."""

    start_s: float
    duration_s: float
    requests: int
    inferences: int
    errors: int
    throughput: float
    mean_us: float
    p50_us: float
    p90_us: float
    p95_us: float
    p99_us: float
    p999_us: float
    measured: bool = True
    """Whether it is one of those that the point's figures are made of (the last three, where it was to be stable)."""


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What the server's statistics of one model and version gained between the edges of the measured windows.

    Times are means per request, in µs; `overhead_us` is what no step accounts for. `batches`: executions by size.
    """

    model: str
    version: str
    composing: bool
    requests: int
    executions: int
    inferences: int
    failures: int
    request_us: float
    queue_us: float
    compute_input_us: float
    compute_infer_us: float
    compute_output_us: float
    overhead_us: float
    cache_hits: int = 0
    cache_hit_us: float = 0.0
    cache_misses: int = 0
    cache_miss_us: float = 0.0
    batches: Mapping[int, int] = field(default_factory=dict)

    @property
    def mean_batch(self) -> float:
        """Inferences per execution; 0 where nothing was executed."""
        return self.inferences / self.executions if self.executions else 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A share of the mean latency: `client queue`, `network + server send/receive`, `queue`, a step of a model."""

    name: str
    mean_us: float


@dataclass(frozen=True, slots=True)
class ServerProcesses:
    """The server's processes on this machine, over the measured windows. `cpu_cores`: 1.0 is one core, busy.

    `memory_bytes` is resident and not shared; `shm_bytes` the files of /dev/shm that they map.

    GPU figures are sums over its GPUs of what those processes hold, and the mean utilization; None where there is none.
    """

    processes: int
    cpu_cores: float
    memory_bytes: int
    shm_bytes: int
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None
    cpu_step: float = 0.0
    """What one tick of the system's counters is in `cpu_cores`: in short windows, much of it."""

    @property
    def cpu_known(self) -> bool:
        """Whether the counters tell `cpu_cores`: to 0.005, or of ten ticks or more."""
        return self.cpu_step <= 0.005 or self.cpu_cores >= 9.5 * self.cpu_step


@dataclass(frozen=True, slots=True)
class Generator:
    """How the generator itself did. `cpu_share` is of its busiest process: near 1 it is the bottleneck.

    `late`: actual minus intended start. `warnings` say in what way it limits the figures beside which they stand.
    """

    processes: int
    cpu_share: float
    late: Latency
    warnings: tuple[str, ...] = ()
    due_rate: float = 0.0
    """Requests a second that a rate's arrivals had due in the measured windows; 0 of other loads."""
    checking_share: float = 0.0
    """How much of its time the process that checked answers longest did so."""


@dataclass(frozen=True, slots=True)
class Point:
    """The figures at one load.

    `stable` tells whether the windows agreed, or the parts of a measurement of a given length; None where that wasn't
    asked, as of short windows.
    `throughput` is inferences a second (requests times batch size), `request_rate` requests a second. `latency` runs
    from the intended start, `latency_uncorrected` from the actual one. The two are the same in a closed loop, in which
    a request is meant to start when it can. `first_response` and `between_responses` are of streams only. `goodput` is
    requests a second within the bound of the objective with the highest percentile; None without any. `slo_missed`
    names the objectives that aren't met. `in_flight` is the mean number by Little's law: rate times mean latency.
    `client_send_us` and `client_receive_us` are the generator's own part of a request, as a mean over some of them: in
    the call that sends, and from the answer's first byte to its last; None where no request was timed (gRPC through
    TLS, streams over HTTP; of streams no receive is).

    `unanswered` requests, the oldest of them for `unanswered_s`, had no answer at the end, though it was waited for,
    and are older than every success. Those that reached the timeout in that wait, or lost their connection, are among
    `errors`, and `failed_after` is how many they are. `overdue` has, by the objective's name, how many more requests
    had been under way for longer than its limit at the end of the measured windows than at their start. Neither kind is
    in any other figure, but both count where objectives are judged.
    """

    load: Load
    protocol: str
    stable: bool | None
    windows: tuple[Window, ...]
    throughput: Estimate
    request_rate: Estimate
    latency: Latency
    latency_uncorrected: Latency
    errors: tuple[Errors, ...]
    generator: Generator
    breakdown: tuple[Step, ...] = ()
    first_response: Latency | None = None
    between_responses: Latency | None = None
    goodput: Estimate | None = None
    slo_met: bool | None = None
    slo_missed: tuple[str, ...] = ()
    in_flight: float = 0.0
    client_send_us: float | None = None
    client_receive_us: float | None = None
    server: tuple[ModelStatistics, ...] = ()
    processes: ServerProcesses | None = None
    unanswered: int = 0
    unanswered_s: float = 0.0
    failed_after: int = 0
    overdue: Mapping[str, int] = field(default_factory=dict)
    short_of: int = 0
    """How many requests a rate had due in the measured windows, where less than 98 % of them succeeded; else 0."""
    ended_by: str = ""
    """Why the load went no further, where it was ended before it was stable or its time was over."""
    server_of_others: bool = False
    """Whether the server counted more than twice the requests that ended here: `breakdown` has none of its figures."""

    @property
    def silent(self) -> bool:
        """Whether the server stopped answering: none of a closed loop's requests under way had an answer at the end.

        Those that reached the timeout then, or lost their connection, tell it where none had failed alike before, as
        those of a slow server do, and of one that closes connections now and then; or where nothing else has succeeded
        for long.
        """
        if self.load.kind != "concurrency":
            return False
        errors = self.errors if self._quiet else [error for error in self.errors if error.after == error.count]
        return self.unanswered + sum(error.after for error in errors) >= self.load.value

    @property
    def _quiet(self) -> bool:
        """Whether no request succeeded for the last third of the windows, ten times as long as any took before."""
        measured = [window for window in self.windows if window.measured]
        last = max((place for place, window in enumerate(measured, 1) if window.requests), default=0)
        quiet_us = 1e6 * sum(window.duration_s for window in measured[last:])
        share = len(measured) - last >= len(measured) / 3
        return last > 0 and share and quiet_us > 10 * self.latency.max_us.value

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return sum(error.count for error in self.errors)

    @property
    def requests(self) -> int:
        """How many requests the figures are made of."""
        return sum(window.requests for window in self.windows if window.measured)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it was measured: versions of the packages and the server, and the machine."""

    versions: Mapping[str, str]
    hardware: Mapping[str, str]
    started: str
    """When, as ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True)
class Report:
    """A sweep or a search: everything raw. `seed` made the random input and the random arrivals."""

    settings: Settings
    environment: Environment
    seed: int
    points: tuple[Point, ...]
    best: Load | None = None
    """Of a search: the greatest load that met the objectives; None where none did, or nothing was searched."""
    knee: Load | None = None
    """Of a sweep of three points or more: past it, latency grows faster than throughput."""
    complete: bool = True
    """Whether all was measured that was asked for; of a search that wasn't, `best` is the best so far."""
    at_end: bool = False
    """Whether `best` is the end of the range that was searched: the server may take more."""
    ended_by: str = ""
    """Why it isn't complete, and at which load it ended."""
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Give what `json.dumps` takes: everything but the values of headers, which may be secrets."""
        settings = replace(self.settings, headers=dict.fromkeys(self.settings.headers, ""))
        data: dict[str, Any] = encode(replace(self, settings=settings))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Read what `to_json` gave. Raise ValueError where it isn't that, or of a later format."""
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
            raise ValueError(
                f"not a report of format {FORMAT}: found {found!r}; measure it again with this tritonforge"
            )
        return decode(cls, data)
