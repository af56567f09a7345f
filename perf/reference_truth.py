"""What a generator says of its own run, beside what others saw of the same run: the wire, and the server's counters.

Two generators never meet the same server where they share its processors: what one takes more of them, the server
lacks. A generator and its witness have met the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from figures import note
from reference_cost import Meter
from reference_tools import Reading
from reference_wire import percentile, watch

from tritonforge.load.address import parse_address
from tritonforge.load.observed.statistics import difference

__all__ = ["LATENCY_WITHIN", "SERVER", "SERVER_WITHIN", "show_truth", "watched"]

SERVER = {
    "Server Queue": "queue_us",
    "Server Compute Input": "compute_input_us",
    "Server Compute Infer": "compute_infer_us",
    "Server Compute Output": "compute_output_us",
}
LATENCY_WITHIN, SERVER_WITHIN = 10, 5


def watched(meter: Meter, url: str, measure: Callable[[], Reading]) -> Reading:
    """Measure, and put what the witnesses saw of all the run into the reading: both percentiles, the server's means.

    Raises:
        PermissionError: this process may not look at packets.
    """
    before = meter.counters()
    reading, took_us = watch(parse_address(url).port, measure)
    (server,) = difference(before, meter.counters(), {meter.model: False})
    seen = {"p50": percentile(took_us, 50), "p99": percentile(took_us, 99)}
    seen |= {name: float(getattr(server, field)) for name, field in SERVER.items()}
    return replace(reading, seen_us=tuple(seen.items()))


def show_truth(where: str, readings: Mapping[str, Sequence[Reading]]) -> None:
    """Print each generator's figures beside its witnesses', and how far apart the two generators are by both.

    They measure alike where what they say is as far from their witnesses, and they load alike where the witnesses of
    both saw the same.
    """
    ours, theirs = (readings[name] for name in ("ours", "perf_analyzer"))
    print(f"\n{where}: µs as each says, as its witness saw them (the wire; the server's counters), and the ratio;")
    print("at the end ours beside perf_analyzer's: by these ratios, and by the witnesses alone")
    print(f"  {'':24}{'ours':>32}{'perf_analyzer':>32}")
    for name in ("p50", "p99", *SERVER):
        limit = LATENCY_WITHIN if name.startswith("p") else SERVER_WITHIN
        sides = [(_median(found, "said", name), _median(found, "seen", name)) for found in (ours, theirs)]
        ratios = [statistics.median(_over(each, name) for each in found) for found in (ours, theirs)]
        measured, loaded = ratios[0] / ratios[1] - 1, sides[0][1] / max(sides[1][1], 1e-9) - 1
        note(f"{where}: {name}, ours over its witness", abs(ratios[0] - 1) * 100, "% apart", at_most=limit)
        note(f"{where}: {name}, perf_analyzer's over its witness", abs(ratios[1] - 1) * 100, "% apart")
        note(f"{where}: {name}, both over their witnesses", abs(measured) * 100, "% apart", at_most=limit)
        note(f"{where}: {name}, both witnesses", abs(loaded) * 100, "% apart", at_most=limit)
        columns = "".join(
            f"{said:12.1f}{seen:12.1f}{ratio:8.3f}" for (said, seen), ratio in zip(sides, ratios, strict=True)
        )
        print(f"  {name:24}{columns}   {measured:+.1%}, {loaded:+.1%} (wanted: within {limit} %)", flush=True)


def _median(found: Sequence[Reading], who: str, name: str) -> float:
    return statistics.median(dict(_said(each) if who == "said" else each.seen_us)[name] for each in found)


def _over(reading: Reading, name: str) -> float:
    return dict(_said(reading))[name] / max(dict(reading.seen_us)[name], 1e-9)


def _said(reading: Reading) -> tuple[tuple[str, float], ...]:
    return (("p50", reading.p50_us), ("p99", reading.p99_us), *reading.server_us)
