"""Where the time of a mean request goes: client, network and the server's front, queue, each step."""

from __future__ import annotations

from collections.abc import Container, Sequence

from tritonforge.load.results import Latency, ModelStatistics, Step

__all__ = ["break_down"]

_PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


def break_down(
    latency: Latency, uncorrected: Latency, server: Sequence[ModelStatistics], ensembles: Container[str] = ()
) -> tuple[Step, ...]:
    """Split the mean latency so that the parts add up to it, as far as the two clocks agree.

    `client queue` is from the intended start to the actual one. The time on the network, and in the server before and
    after the model, is what the server's own time of requests leaves of the rest; not below 0.
    """
    asked = [statistics for statistics in server if not statistics.composing]
    requests = sum(statistics.requests for statistics in asked)
    sent = max(0.0, latency.mean_us.value - uncorrected.mean_us.value)
    if not requests:
        return (Step("client queue", sent), Step("network + server", uncorrected.mean_us.value))
    inside = sum(statistics.request_us * statistics.requests for statistics in asked) / requests
    steps = [
        Step("client queue", sent),
        Step("network + server send/receive", max(0.0, uncorrected.mean_us.value - inside)),
    ]
    ran = [statistics for statistics in server if statistics.model not in ensembles]  # its own times are its steps'
    known = 0.0
    for statistics in ran:
        share = statistics.requests / requests
        for part in _PARTS:
            value = getattr(statistics, f"{part}_us") * share
            name = part.replace("_", " ")
            steps.append(Step(f"{statistics.model}: {name}" if len(ran) > 1 else name, value))
            known += value
    return (*steps, Step("server overhead", max(0.0, inside - known)))
