"""What to load a server with: the models, the input, how much, for how long."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tritonforge.load.trust import TlsFiles
from tritonforge.request_parameters import Parameter
from tritonforge.samples import TOLERANCE

__all__ = ["Data", "HttpRequest", "Load", "ModelLoad", "Settings", "Slo", "parse_loads", "parse_slo"]

Kind = Literal["concurrency", "rate", "schedule", "replay"]
Arrivals = Literal["constant", "poisson", "gamma"]

_UNITS_US = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
_SHORTEST_US = 0.001
"""Requests are timed in nanoseconds."""
_SLO = re.compile(r"(?P<name>mean|max|p\d+(?:\.\d+)?)=(?P<value>\d+(?:\.\d+)?)(?P<unit>us|µs|ms|s)")


@dataclass(frozen=True, slots=True)
class Load:
    """One point of a sweep: `value` is requests in flight (`concurrency`), or requests a second (`rate`).

    A `schedule` or `replay` has its times in the settings; its value is its mean rate.
    """

    kind: Kind
    value: float

    @property
    def given(self) -> bool:
        """Whether its times are given, one by one: they are measured from the first on."""
        return self.kind in ("schedule", "replay")

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Slo:
    """An objective for latency: `p99=10ms`. `statistic` is `mean`, `max` or a percentile (`p99.9`)."""

    statistic: str
    limit_us: float

    @property
    def limit_ns(self) -> int:
        """The limit in whole nanoseconds, as requests are timed."""
        return round(self.limit_us * 1000)

    @property
    def percent(self) -> float | None:
        """The percentile; None for `mean`, 100 for `max`."""
        return (
            {"mean": None, "max": 100.0}.get(self.statistic)
            if self.statistic in ("mean", "max")
            else float(self.statistic[1:])
        )


@dataclass(frozen=True, slots=True)
class Data:
    """Where input comes from: `random` (with the seed), `zeros`, a file (`.npz`, `.jsonl`, `.parquet`, `.json`).

    `golden`, or `golden:REPOSITORY`, is the golden samples of a repository that a build has written (without a name:
    of model_repository); the answers are always checked.

    `shapes` gives sizes to variable dimensions by name, or whole shapes by the input's name. `dimensions` has the names
    of an input's dimensions (a manifest tells them); where they are unknown, one named size serves all. `payloads` is
    how many different ones are made of random data, in turn. With `check`, the answers are held against those that the
    file has beside the inputs, within `tolerance`.
    """

    source: str = "random"
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    payloads: int = 16
    string_length: int = 16
    check: bool = False
    tolerance: float = TOLERANCE

    @property
    def golden(self) -> Path | None:
        """The repository whose golden samples are sent; None for other input."""
        kind, _, repository = self.source.partition(":")
        return Path(repository or "model_repository") if kind == "golden" else None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A fixed request to any HTTP server, `path` below the URL's own.

    `expected` are numbers that the JSON answer must hold, by JSON pointer (RFC 6901: `/label`, `/outputs/0/data`),
    within `tolerance`; an array there counts as all of its numbers.
    """

    path: str
    body: str = ""
    method: str = "POST"
    content_type: str = "application/json"
    expected: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tolerance: float = 1e-4


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """A model, and its share of the requests. `sequence_length` above 0: requests are sequences of that many.

    With a `request`, that is sent over HTTP instead of the protocol's own, and the name is only a name.
    """

    name: str
    version: str = ""
    weight: float = 1.0
    batch_size: int = 1
    sequence_length: int = 0
    data: Data = Data()
    request: HttpRequest | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured and how. `url` is `http://host:port` or `grpc://host:port` (`https`, `grpcs` for TLS).

    A point lasts until `stable_windows` windows of `window_s` agree within `stability`, at most `max_windows`; or for
    `duration_s`; or for `requests`. Windows are of 5 s, or of a tenth of a `duration_s` where that is less. `warmup_s`
    of load precede each. A schedule or replay lasts until its last request has ended, unless `repeat_s` begins it
    anew, or `duration_s` or `requests` cut it short; all of it is measured, and its `warmup_s` is one request at a
    time. `ramp_s` brings a load up by steps in that time, before the windows. A rate with `burst` above 1 sends that
    many at once. `max_in_flight` bounds the requests of an open loop; what is due waits for one to end, and that is in
    its latency. `repeat_s` above 0 begins `times_s` anew after so long. With `shared_memory`, inputs and outputs lie
    in it. Over the connection come answers that are checked, streams, and outputs whose size the signature doesn't
    tell, unless `output_bytes` makes room for each. `parameters` go with each request. `tls` are files for a URL of
    TLS.
    """

    url: str
    models: tuple[ModelLoad, ...]
    loads: tuple[Load, ...] = (Load("concurrency", 1),)
    arrivals: Arrivals = "constant"
    gamma_shape: float = 2.0
    burst: int = 1
    times_s: tuple[float, ...] = ()
    repeat_s: float = 0.0
    body: Literal["binary", "json"] = "binary"
    shared_memory: Literal["none", "system"] = "none"
    output_bytes: int | None = None
    window_s: float | None = None
    warmup_s: float = 1.0
    ramp_s: float = 0.0
    stability: float = 0.1
    stable_windows: int = 3
    max_windows: int = 10
    duration_s: float | None = None
    requests: int | None = None
    processes: int = 1
    max_in_flight: int = 256
    timeout_s: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tls: TlsFiles = field(default_factory=TlsFiles)
    slo: tuple[Slo, ...] = ()
    seed: int = 0
    server_statistics: bool = True

    @property
    def protocol(self) -> Literal["http", "grpc"]:
        """What the URL speaks."""
        return "grpc" if self.url.startswith("grpc") else "http"


def parse_loads(text: str, kind: Literal["concurrency", "rate"] = "concurrency") -> tuple[Load, ...]:
    """Read `8`, a list `1,2,8`, ranges `1:64` (by one), `1:64:4` (by four), `1:64:x2` (doubled), or several of these.

    The end of a range belongs to it where a step meets it. Raise ValueError for anything else.
    """
    values = [value for part in text.split(",") for value in _values(part.strip(), text)]
    if kind == "concurrency" and any(value != int(value) for value in values):
        raise ValueError(f"{text!r}: a concurrency is a whole number")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{text!r}: {twice:g} is in it more than once; each load is measured once")
    return tuple(Load(kind, value) for value in values)


def parse_slo(text: str) -> tuple[Slo, ...]:
    """Read `p99=10ms`, or several: `p50=2ms,p99.9=1s`; units are us, ms and s. Raise ValueError for anything else."""
    objectives: list[Slo] = []
    for part in text.split(","):
        found = _SLO.fullmatch(part.strip())
        limit_us = 0.0 if found is None else float(found["value"]) * _UNITS_US[found["unit"]]
        timed = _SHORTEST_US <= limit_us < math.inf
        if found is None or not timed or (found["name"][0] == "p" and not 0 < float(found["name"][1:]) <= 100):
            raise ValueError(
                f"{part!r} is not an objective; wanted mean, max or a percentile with a time above 0 in us, ms or s: "
                "p99=10ms"
            )
        slo = Slo(found["name"], limit_us)
        if any(other.percent == slo.percent for other in objectives):
            raise ValueError(f"{text!r}: {slo.statistic} is in it more than once; each has one limit")
        objectives.append(slo)
    return tuple(objectives)


def _values(part: str, text: str) -> list[float]:
    wanted = "a number, a list 1,2,8 or a range 1:64, 1:64:4, 1:64:x2"
    try:
        first, *rest = part.split(":")
        start = float(first)
        if not rest:
            values = [start]
        else:
            end, step = float(rest[0]), rest[1] if len(rest) > 1 else "1"
            values = _range(start, end, step) if len(rest) < 3 else []
    except ValueError as error:
        raise ValueError(f"{text!r}: {part!r} can't be read ({error}); wanted {wanted}") from None
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise ValueError(f"{text!r}: {part!r} is no load above 0; wanted {wanted}")
    return values


def _range(start: float, end: float, step: str) -> list[float]:
    factor, add = (float(step[1:]), 0.0) if step.startswith("x") else (1.0, float(step))
    if not (factor > 1 or add > 0) or start <= 0 or not math.isfinite(start + end + add + factor):
        raise ValueError(f"the step {step} doesn't grow")
    if end < start:
        raise ValueError(f"{end:g}, its end, is below {start:g}, its start")
    values = [start]
    while (after := values[-1] * factor + add) <= end and len(values) < 10_000:
        values.append(after)
    return values
