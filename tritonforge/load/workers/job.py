"""What the parent tells a worker process, and what the worker tells back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.pacing.schedule import Schedule
from tritonforge.load.trust import TlsFiles

__all__ = ["Connected", "Finished", "Job", "Payload", "Ready", "Start", "Stop", "Tally", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. `method` is the gRPC one, empty for HTTP; `tls` is for grpcio to speak, None for none."""

    host: str
    port: int
    method: str = ""
    tls: TlsFiles | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def authority(self) -> str:
        """Spell `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Payload:
    """A prepared request: all bytes of an HTTP one, or the message of a gRPC one.

    Of a sequence, `parts` are its first, middle and last request, and one that is both first and last, or, where it is
    `spelled`, each of its requests; each in two pieces between which the sequence's number goes. `expected` are the
    outputs to hold the answer against; of a `plain` one, which isn't of the protocol, numbers by their places in the
    JSON. `outputs` are the names that the model's answers over HTTP have, one of which is looked at. `model` is whose
    request it is, of a mix.
    """

    data: bytes
    parts: tuple[tuple[bytes, bytes], ...] = ()
    sequence_length: int = 0
    spelled: bool = False
    stream: bool = False
    expected: Mapping[str, NDArray[Any]] | None = None
    tolerance: float = 1e-4
    plain: bool = False
    outputs: tuple[str, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """Connect, and load from when a `Start` says, in windows of `window_ns`.

    A closed loop has `concurrency` above 0, else `schedule` is for all processes, of which this is number `part`.
    `requests`: stop after so many counted ones. `max_windows`: stop by itself after so many. `trace`: a file to write
    each request's times into. `bounds_ns`: ages past which requests under way at a window's edge are counted.
    """

    target: Target
    payloads: tuple[Payload, ...]
    window_ns: int
    max_windows: int
    concurrency: int = 0
    ramp_s: float = 0.0
    schedule: Schedule | None = None
    part: int = 0
    parts: int = 1
    requests: int | None = None
    max_in_flight: int = 256
    timeout_s: float = 30.0
    trace: str = ""
    bounds_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """When the load begins for which a job has connected, and its windows: of `clock.now_ns`, for all processes."""

    load_ns: int
    windows_ns: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The last word to a job, whether it has started or not, or has ended by itself."""


@dataclass(slots=True)
class Tally:
    """What ended in one window in one process. Times in ns; `errors` are by kind, `examples` the words of one.

    Of some requests the time of the call that sends them was taken, and that from the answer's first byte to its last.
    """

    index: int
    duration_ns: int = 0
    latency: Histogram = field(default_factory=Histogram)
    uncorrected: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    first: Histogram = field(default_factory=Histogram)
    between: Histogram = field(default_factory=Histogram)
    errors: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of a mix: by the kind of error, how often it was which model's."""
    cpu_ns: int = 0
    waited_ns: int = 0
    """How long the process could have run, but others had the processors."""
    held_back: int = 0
    """Requests of an open loop that waited because `max_in_flight` were under way."""
    lead_ns: int = 0
    """How long before the window's start its time is counted from: below 0 where that is after it."""
    overdue: dict[int, int] = field(default_factory=dict)
    """By a bound: how many more requests older than that are under way at the window's end than at its start."""
    sent: int = 0
    sending_ns: int = 0
    received: int = 0
    receiving_ns: int = 0
    checking_ns: int = 0
    """How long the process held answers against what was expected."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last word of a job. `failure` is empty, or why it couldn't be done.

    `untraced` is why its requests couldn't be written down, where they should have been. `unanswered_ns` are the ages
    of those that were under way at the end, and had no answer though it was waited for; `failed` says how others of
    them ended meanwhile, by the timeout or with their connection.
    """

    failure: str = ""
    untraced: OSError | None = None
    unanswered_ns: tuple[int, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The first word of a process: it can take jobs."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The first word of a job: all of its connections are there."""
