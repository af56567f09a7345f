"""Where the time of a mean request goes: client, network and the server's front, queue, each step."""

from __future__ import annotations

from collections.abc import Container, Sequence

from tritonforge.load.results import Latency, ModelStatistics, Point, Step

__all__ = ["break_down", "send_outside_us", "send_overlaps"]

_STREAM = "until the last response: model, server, network"
_SEND = "client send"
_EDGES = 0.02
_PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


def break_down(
    latency: Latency,
    uncorrected: Latency,
    server: Sequence[ModelStatistics],
    ensembles: Container[str] = (),
    *,
    client_us: tuple[float | None, float | None] = (None, None),
    streams: bool = False,
) -> tuple[Step, ...]:
    """Split the mean latency so that the parts add up to it, as far as the two clocks agree.

    `client queue` is from the intended start to the actual one; `client_us` are the client's sending and receiving,
    which are left out where they aren't known. The
    time on the network, and in the server before and after the model, is what those and the server's own time of
    requests leave of the rest; not below 0. Of streams the server's own time doesn't reach to the last response, so
    that this has most of the model's work, too, and is named for it.

    A sender that shares processors with the server may lose its own to it within the call that sends: that time is the
    server's, and `client send` what the server leaves of it; see `send_overlaps`.

    Nothing is told where the known parts are greater than the whole: they are of other requests, since at the windows'
    edges a few are counted on one side alone.
    """
    asked = [statistics for statistics in server if not statistics.composing]
    requests = sum(statistics.requests for statistics in asked)
    sent = max(0.0, latency.mean_us.value - uncorrected.mean_us.value)
    send, receive = client_us
    inside = sum(statistics.request_us * statistics.requests for statistics in asked) / max(requests, 1)
    if send is not None and requests:
        send = min(send, max(0.0, uncorrected.mean_us.value - (receive or 0.0) - inside))
    client = [Step("client queue", sent), *_known(_SEND, send)]
    outside = uncorrected.mean_us.value - (send or 0.0) - (receive or 0.0)
    if inside - outside > _EDGES * latency.mean_us.value:
        return ()
    if not requests:
        rest = _STREAM if streams else "network + server"
        return (*client, Step(rest, max(0.0, outside)), *_known("client receive", receive))
    rest = _STREAM if streams else "network + server send/receive"
    steps = [*client, Step(rest, max(0.0, outside - inside))]
    ran = [statistics for statistics in server if statistics.model not in ensembles]  # its own times are its steps'
    known = 0.0
    for statistics in ran:
        share = statistics.requests / requests
        for part in _PARTS:
            value = getattr(statistics, f"{part}_us") * share
            name = part.replace("_", " ")
            steps.append(Step(f"{statistics.model}: {name}" if len(ran) > 1 else name, value))
            known += value
    return (*steps, Step("server overhead", max(0.0, inside - known)), *_known("client receive", receive))


def send_overlaps(point: Point) -> bool:
    """Tell whether the time in the call that sends is noticeably more than the server's time leaves of the latency."""
    told = _told_send(point)
    if told is None or point.client_send_us is None:
        return False
    return point.client_send_us - told > _EDGES * point.latency.mean_us.value


def send_outside_us(point: Point) -> float | None:
    """Give the client's sending as the breakdown has it, without what reaches into the server's time."""
    told = _told_send(point)
    return point.client_send_us if told is None else told


def _told_send(point: Point) -> float | None:
    return next((step.mean_us for step in point.breakdown if step.name == _SEND), None)


def _known(name: str, us: float | None) -> tuple[Step, ...]:
    return () if us is None else (Step(name, us),)
