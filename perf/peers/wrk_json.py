"""Load by wrk: one JSON body, the rate and latencies that it saw. The same for every peer."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Figures", "load_json"]

_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of wrk saw."""

    rate: float
    p50_us: float
    p99_us: float


def load_json(url: str, body: str, folder: Path, *, concurrency: int, seconds: int) -> Figures:
    """Post a body on one thread of wrk.

    Raises:
        RuntimeError: a request failed, or wrk said nothing.
    """
    script = folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\nwrk.headers["Content-Type"] = "application/json"\n'
    )
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    rate = re.search(r"Requests/sec:\s*([\d.]+)", said)
    times = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s)) *$", said, re.MULTILINE))
    if rate is None or len(times) < 2 or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return Figures(float(rate[1]), _us(times["50"]), _us(times["99"]))


def _us(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS_US[unit]
