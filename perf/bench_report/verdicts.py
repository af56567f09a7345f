"""What was expected beside the peers, what was seen, and what limits it where that is not met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench_report.peer_figures import PeerPoint, of_task, ratio
from tritonforge.report.charts.numbers import compact, duration, plain

__all__ = ["Verdict", "explain", "judge"]

FASTAPI = "fastapi"
OVER_FASTAPI, OVER_OTHERS = 10.0, 5.0
LOADED = 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """An expectation, what was seen, and whether it was met."""

    expected: str
    seen: str
    met: bool


def judge(points: Sequence[PeerPoint], task: str) -> list[Verdict]:
    """Hold tritonforge against each plain endpoint, the best other peer, and every peer's latency."""
    verdicts = []
    loaded, alone = of_task(points, task, LOADED), of_task(points, task, 1)
    if (ours := _ours(loaded)) and len(loaded) > 1:
        plain_ones = [point for point in _peers(loaded) if point.key.startswith(FASTAPI)]
        others = [point for point in _peers(loaded) if not point.key.startswith(FASTAPI)]
        verdicts += [_faster(ours, point, OVER_FASTAPI) for point in plain_ones]
        if others:
            verdicts.append(_faster(ours, max(others, key=lambda point: point.rate), OVER_OTHERS))
        verdicts.append(_no_longer(ours, _peers(loaded), "p99", lambda point: point.p99_us))
    if (ours := _ours(alone)) and len(alone) > 1:
        verdicts.append(_no_longer(ours, _peers(alone), "p50", lambda point: point.p50_us))
    return verdicts


def explain(points: Sequence[PeerPoint], task: str, cores: int) -> list[str]:
    """Say where the time goes at the highest load: CPU by request, and what these cores can give at most."""
    loaded = of_task(points, task, LOADED)
    ours = _ours(loaded)
    if ours is None or not ours.server_cpu_us:
        return []
    spent = ours.server_cpu_us + ours.generator_cpu_us
    most = cores * 1e6 / spent
    lines = [
        f"A request takes tritonforge's server {duration(ours.server_cpu_us)} of CPU, and the load generator "
        f"{duration(ours.generator_cpu_us)} on the same {cores} cores: together they can't exceed {compact(most)} "
        f"requests a second, of which {ours.rate / most:.0%} were reached."
    ]
    known = [point for point in _peers(loaded) if point.server_cpu_us]
    for point in sorted(known, key=lambda point: point.server_cpu_us)[:3]:
        both = (point.server_cpu_us + point.generator_cpu_us) / spent
        lines.append(
            f"{point.name}'s server takes {duration(point.server_cpu_us)} of CPU a request, "
            f"{plain(point.server_cpu_us / ours.server_cpu_us)}× tritonforge's; with the generator's share it is "
            f"{plain(both)}×, about what the ratio of throughputs can be where these cores are all there is."
        )
    return lines


def _faster(ours: PeerPoint, peer: PeerPoint, limit: float) -> Verdict:
    found = ratio(ours.rates, peer.rates)
    what = peer.name if peer.key.startswith(FASTAPI) else "the best other peer"
    return Verdict(
        f"concurrency {LOADED}: at least {limit:g}× the requests a second of {what}",
        f"{plain(found)}× ({compact(ours.rate)}/s, {peer.name} {compact(peer.rate)}/s)",
        found >= limit,
    )


def _no_longer(ours: PeerPoint, peers: Sequence[PeerPoint], name: str, figure: Callable[[PeerPoint], float]) -> Verdict:
    best = min(peers, key=figure)
    wanted = f"lower {name} than any" if name == "p99" else f"{name} no worse than any"
    met = figure(ours) < figure(best) if name == "p99" else figure(ours) <= figure(best)
    return Verdict(
        f"concurrency {ours.concurrency}: {wanted}",
        f"{duration(figure(ours))}, {best.name} {duration(figure(best))}",
        met,
    )


def _ours(points: Sequence[PeerPoint]) -> PeerPoint | None:
    return next((point for point in points if point.ours), None)


def _peers(points: Sequence[PeerPoint]) -> list[PeerPoint]:
    return [point for point in points if not point.ours]
