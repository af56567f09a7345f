"""Settings that can't be carried out, whatever the server."""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Iterator

from tritonforge.load.address import parse_address
from tritonforge.load.errors import InvalidLoad
from tritonforge.load.pacing.times import LATEST_S
from tritonforge.load.settings import Settings
from tritonforge.load.workers.shares import check_connections
from tritonforge.request_parameters import check_parameter

__all__ = ["check_settings"]

_SECONDS = ("window_s", "duration_s", "timeout_s", "warmup_s", "ramp_s", "repeat_s")
_NAMES = {"http": re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"), "grpc": re.compile(r"[-_.0-9A-Za-z]+")}
"""What a header may be called (RFC 9110, 5.6.2; gRPC over HTTP/2, Custom-Metadata)."""
_BURSTIEST = 0.01
"""The least shape of gaps: their standard deviation is 1/√shape of their mean, and 1/shape of them make a burst."""
_PROCESSES = 16
"""More of the generator for each processor only take turns on it, and a start of 0.3 s and 30 MB each."""
_SEQUENCES = "those of a load have numbers of their own; their length is sequence_length"
_UNFIT = re.compile(r"[^ -~]")
_FRAMING = {"content-length", "inference-header-content-length", "transfer-encoding"}
"""Headers that say where a request ends, or its parts do: the generator's own to set."""


def check_settings(settings: Settings) -> None:
    """Raise InvalidLoad for what can't be."""
    plain = [load for load in settings.models if load.request is not None]
    problems = (
        (not settings.models, "no model is named"),
        (plain and settings.protocol == "grpc", f"a request of its own goes over HTTP; the URL is {settings.url}"),
        (any(load.sequence_length for load in plain), "a request of its own is no sequence: leave sequence_length out"),
        (plain and settings.parameters, "a request of its own is sent as it is written: leave parameters out"),
        *((not holds, text) for holds, text in _bounds(settings)),
        (
            settings.duration_s is not None and settings.requests is not None,
            "duration_s and requests are both given; one of them says when a load ends",
        ),
        (
            any(load.kind in ("schedule", "replay") for load in settings.loads) and not settings.times_s,
            "a schedule or replay has no times_s",
        ),
        (
            not all(0 <= time_s <= LATEST_S for time_s in settings.times_s),
            f"times_s has a time that isn't within 0 and {LATEST_S:g} s",
        ),
        (
            settings.duration_s is None
            and settings.requests is None
            and settings.stable_windows > settings.max_windows
            and not settings.times_s,
            f"stable_windows is {settings.stable_windows}, max_windows {settings.max_windows}: of so few, so many "
            "never agree; give more, or measure for a duration or a number of requests",
        ),
        (any(not load.value > 0 for load in settings.loads), "a load is not above 0"),
        *(
            (True, f"{name} is {value:g}; it is at most {LATEST_S:g}")
            for name in _SECONDS
            if (value := getattr(settings, name)) is not None and LATEST_S < value < math.inf
        ),
        *((True, text) for text in _too_few_requests(settings)),
        *((True, text) for text in _unfit_headers(settings)),
        *((True, text) for text in _unfit_parameters(settings)),
    )
    for found, text in problems:
        if found:
            raise InvalidLoad(text)
    for load in settings.loads:
        check_connections(load, settings)
    if parse_address(settings.url).tls:
        settings.tls.check()


def _too_few_requests(settings: Settings) -> Iterator[str]:
    """Say of a closed loop that it has fewer requests than are to be under way: a smaller one would be measured."""
    for load in settings.loads:
        if load.kind == "concurrency" and settings.requests is not None and settings.requests < load.value:
            yield f"requests is {settings.requests}, and {load} has more under way at once: give {load.value:g} or more"


def _unfit_headers(settings: Settings) -> Iterator[str]:
    """Say which headers can't be sent. A value may be a secret, and isn't told."""
    for name, value in settings.headers.items():
        if not _NAMES[settings.protocol].fullmatch(name):
            allowed = f"over {settings.protocol}, that is of ASCII letters, digits and -"
            yield f"header {name!r}: it is no name of a header; {allowed}"
        if name.lower() in _FRAMING:
            yield f"header {name!r}: it says where a request ends, which is for the generator to say: leave it out"
        if found := _UNFIT.search(value):
            yield f"header {name!r}: its value has {found[0]!r}; it is printable ASCII, in one line"


def _unfit_parameters(settings: Settings) -> Iterator[str]:
    """Say which parameters can't be sent."""
    for name, value in settings.parameters.items():
        if not isinstance(name, str) or not name or not isinstance(value, (bool, int, float, str)):
            yield f"parameters has {name!r}: {value!r}; a parameter has a name, and is a bool, int, float or str"
            continue
        try:
            check_parameter(name, value, sequences=_SEQUENCES)
        except (TypeError, ValueError) as error:
            yield str(error)


def _bounds(settings: Settings) -> Iterator[tuple[bool, str]]:
    """Say of each number whether it is within its bounds, and in words what it is and may be."""
    for bound, holds, names in (
        ("above 0", operator.gt, ("window_s", "duration_s", "timeout_s")),
        ("at least 0", operator.ge, ("warmup_s", "ramp_s", "repeat_s", "stability", "seed")),
    ):
        for name in names:
            value = getattr(settings, name)
            if value is not None:
                wanted = bound if math.isfinite(value) else f"a finite number, {bound}"
                yield holds(value, 0) and math.isfinite(value), f"{name} is {value:g}; it is {wanted}"
    yield (
        _BURSTIEST <= settings.gamma_shape < math.inf,
        f"gamma_shape is {settings.gamma_shape:g}; it is a finite number, at least {_BURSTIEST:g}: of less, bursts of "
        f"more than {1 / _BURSTIEST:g} requests come so far apart that no measurement has the rate",
    )
    most = _PROCESSES * (os.cpu_count() or 1)
    yield (
        settings.processes <= most,
        f"processes is {settings.processes}; it is at most {most}, {_PROCESSES} for each of this machine's processors",
    )
    for name in ("requests", "processes", "max_in_flight", "burst", "stable_windows", "max_windows", "output_bytes"):
        value = getattr(settings, name)
        yield value is None or value >= 1, f"{name} is {value}; it is at least 1"
    for model in settings.models:
        yield model.weight > 0, f"{model.name}: its weight is {model.weight:g}; it is above 0"
        yield model.sequence_length >= 0, f"{model.name}: sequence_length is {model.sequence_length}; it is at least 0"
        yield model.data.payloads >= 1, f"{model.name}: payloads is {model.data.payloads}; it is at least 1"
        yield (
            model.data.string_length >= 0,
            f"{model.name}: string_length is {model.data.string_length}; it is at least 0",
        )
        tolerance = model.data.tolerance
        yield 0 <= tolerance < math.inf, f"{model.name}: tolerance is {tolerance:g}; it is a finite number, at least 0"
