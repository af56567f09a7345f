"""Load by wrk (Debian package `wrk`): prepared binary requests over HTTP, models taking turns."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from figures import note
from numpy.typing import NDArray

from tritonforge.client.http.message import write_request
from tritonforge.client.message import Request, Tensor

__all__ = ["Rates", "load", "pool", "ratio", "take_turns"]

Rates = dict[str, list[float]]


def load(
    http_url: str,
    folder: Path,
    model: str,
    inputs: dict[str, NDArray[np.float32]],
    *,
    concurrency: int,
    seconds: int,
) -> float:
    """Run wrk on one thread; give the requests a second.

    Raises:
        RuntimeError: a request failed, or wrk said nothing.
    """
    tensors = tuple(Tensor(name, "FP32", array.shape, array.tobytes()) for name, array in inputs.items())
    header = write_request(Request(model, tensors))
    body = (header + b"".join(array.tobytes() for array in inputs.values())).hex()
    script = folder / f"{model}.lua"
    script.write_text(
        f'wrk.method = "POST"\nlocal hex = "{body}"\n'
        'wrk.body = hex:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end)\n'
        f'wrk.headers["Inference-Header-Content-Length"] = "{len(header)}"\n'
    )
    url = f"http://{urlsplit(http_url).netloc}/v2/models/{model}/infer"
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return float(found[1])


def take_turns(models: Sequence[str], measure: Callable[[str], Any], *, rounds: int) -> Rates:
    """Measure each model in each round, A B B A …, after one that doesn't count."""
    rates: Rates = {model: [] for model in models}
    order = list(models)
    for model in order:
        measure(model)
    for _ in range(rounds):
        for model in order:
            rates[model].append(measure(model))
        order.reverse()
    return rates


def pool(starts: Sequence[Rates]) -> Rates:
    """Put the rounds of several starts of a server together."""
    return {model: [rate for start in starts for rate in start[model]] for model in starts[0]}


def ratio(rates: Rates, one: str, other: str, *, at: str = "", at_least: float | None = None) -> str:
    """Give the median of the ratios of the same round, and how far they spread; note it as a figure `at` a load."""
    ratios = [mine / theirs for mine, theirs in zip(rates[one], rates[other], strict=True)]
    note(f"{one} over {other}{at and f', {at}'}", statistics.median(ratios), "×", at_least=at_least)
    return f"{one}/{other} {statistics.median(ratios):.3f} ({min(ratios):.2f} … {max(ratios):.2f})"
