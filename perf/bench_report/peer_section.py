"""The section on peers: verdicts, tables, what limits, and how each was set up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench_report.peer_figures import PeerPoint, of_task, ratio, read_points
from bench_report.verdicts import LOADED, Verdict, explain, judge
from tritonforge.report.charts.numbers import compact, duration, plain
from tritonforge.report.tables import Table, markdown

__all__ = ["peer_section", "verdicts_of"]

MIB = 2**20
NOTED_CORES = 0.05


def verdicts_of(found: Mapping[str, Any]) -> dict[str, list[Verdict]]:
    """Judge each model that was measured."""
    points = read_points(found)
    return {task: judge(points, task) for task in _tasks(points)}


def peer_section(found: Mapping[str, Any]) -> str:
    """Write the section, without its heading."""
    points = read_points(found)
    settings = found["settings"]
    titles = {server["task"]: server["title"] for server in found["servers"]}
    parts = [
        f"{settings['workers']} workers each, batches up to 64, one row a request as JSON over HTTP. Every server gave "
        "eager Python's answers before it was measured, and each answer under load was held against them. All run at "
        f"once and take turns; `tritonforge.load` sends, on the same cores. Figures are medians of "
        f"{settings['rounds']} round{'s' if settings['rounds'] > 1 else ''} of {settings['seconds']:g} s; ratios are "
        "medians of each round's own. CPU is user and system time of all processes of a server, by request."
    ]
    for task, verdicts in verdicts_of(found).items():
        parts.append(f"### {titles[task][:1].upper()}{titles[task][1:]}")
        parts.append(markdown(Table(("expected", "seen", ""), tuple(map(_verdict, verdicts)), words=3)))
        parts += explain(points, task, int(found["machine"]["hardware"]["cores"]))
        parts.append(markdown(_table(points, task)))
        if any(point.concurrency == LOADED for point in points if point.task == task):
            parts.append(f"![p99 over throughput](plots/{task}.png)\n\n![CPU by request](plots/{task}_cpu.png)")
    parts += _idle(points)
    parts.append("### How each was set up\n\n" + markdown(_servers(found["servers"], points)))
    parts += _failures(found, points)
    return "\n\n".join(parts)


def _tasks(points: Sequence[PeerPoint]) -> list[str]:
    return list(dict.fromkeys(point.task for point in points))


def _verdict(verdict: Verdict) -> tuple[str, str, str]:
    return verdict.expected, verdict.seen, "met" if verdict.met else "**not met**"


def _table(points: Sequence[PeerPoint], task: str) -> Table:
    rows = []
    for concurrency in dict.fromkeys(point.concurrency for point in points if point.task == task):
        here = [point for point in points if (point.task, point.concurrency) == (task, concurrency)]
        base = next((point for point in of_task(points, task, concurrency) if point.ours), None)
        rows += [_row(point, base) for point in sorted(here, key=lambda point: -point.rate)]
    names = ("concurrency", "server", "body", "requests/s", "p50", "p99", "CPU, server", "CPU, generator")
    return Table((*names, "tritonforge makes"), tuple(rows), words=3)


def _row(point: PeerPoint, base: PeerPoint | None) -> tuple[str, ...]:
    compared = base is not None and not point.ours and point.body == base.body
    return (
        str(point.concurrency),
        f"**{point.name}**" if point.ours else point.name,
        point.body,
        compact(point.rate),
        duration(point.p50_us),
        duration(point.p99_us),
        duration(point.server_cpu_us) if point.server_cpu_us else "–",
        duration(point.generator_cpu_us) if point.generator_cpu_us else "–",
        f"{plain(ratio(base.rates, point.rates))}×" if compared and base is not None else "",
    )


def _servers(servers: Sequence[Mapping[str, Any]], points: Sequence[PeerPoint]) -> Table:
    rows = []
    for server in servers:
        memory = server.get("memory")
        idle = next((p.idle_cores for p in points if (p.task, p.key) == (server["task"], server["key"])), None)
        versions = ", ".join(f"{name} {version}" for name, version in server.get("versions", {}).items())
        rows.append(
            (
                server["task"],
                server["name"],
                f"{server['settings']}{f' ({versions})' if versions else ''}",
                f"{server['start_s']:.1f} s" if "start_s" in server else "–",
                f"{memory['uss'] / MIB:.0f} MiB" if memory else "–",
                f"{memory['pss'] / MIB:.0f} MiB" if memory else "–",
                str(memory["processes"]) if memory else "–",
                "–" if idle is None else f"{idle:.2f}",
            )
        )
    names = ("model", "server", "set up as", "ready in", "USS", "PSS", "processes", "idle, cores")
    return Table(names, tuple(rows), words=3)


def _idle(points: Sequence[PeerPoint]) -> list[str]:
    """Say where servers took so much while they idled that the others had less of the machine."""
    taken = {(point.task, point.name): point.idle_cores for point in points if point.idle_cores > NOTED_CORES}
    words = ", ".join(f"{name} ({task}) {cores:.2f}" for (task, name), cores in sorted(taken.items()))
    return [f"While nobody asked them, these took of the cores that all share: {words}."] if taken else []


def _failures(found: Mapping[str, Any], points: Sequence[PeerPoint]) -> list[str]:
    """Name what couldn't be measured, and requests that failed under load."""
    failed = [server for server in found["servers"] if "error" in server]
    said = [f"**{server['name']}** ({server['task']}) was not measured: {server['error']}" for server in failed]
    said += [
        f"**{p['name']}** ({p['task']}, {p['body']}, concurrency {p['concurrency']}): not one request ended in a round"
        for p in found["points"]
        if not any(p["rates"])
    ]
    for point in points:
        said += [
            f"**{point.name}** ({point.task}, {point.body}, concurrency {point.concurrency}): {count} failed, {words}"
            for words, count in point.errors
        ]
    return ["### What failed\n\n" + "\n".join(f"- {' '.join(line.split())}" for line in said)] if said else []
