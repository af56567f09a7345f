"""perf/REPORT.md, written of the raw figures that are kept of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench_report.parts import PARTS
from bench_report.peer_section import peer_section
from tritonforge.report.charts.numbers import plain
from tritonforge.report.tables import Table, markdown

__all__ = ["render"]

Results = Mapping[str, Mapping[str, Any]]

_HEAD = """\
# What is measured

Written by `make bench` (`python perf/report.py`) from `perf/results/*.json`; not by hand. Each part says when it was
measured, by which command, and on what. `python perf/report.py --only PART` renews one; `--render` writes this anew.
"""


def render(results: Results) -> str:
    """Write the whole report; parts that were never measured are named as such."""
    sections = [_HEAD, _summary(results)]
    for part in PARTS.values():
        found = results.get(part.name)
        if found is None:
            continue
        body = peer_section(found) if part.name == "peers" else _figures(found)
        sections.append(f"## {part.title}\n\n{_made(found)}\n\n{body}")
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _summary(results: Results) -> str:
    """Give a line for each part: how many of its targets were met."""
    rows = []
    for part in PARTS.values():
        found = results.get(part.name)
        if found is None:
            rows.append((part.title, "not measured yet", ""))
            continue
        judged = [met for _, met in targets(part.name, found) if met is not None]
        words = f"{sum(judged)} of {len(judged)}" if judged else "no target"
        missed = [name for name, met in targets(part.name, found) if met is False]
        rows.append((part.title, words, "; ".join(missed)))
    return "## In short\n\n" + markdown(Table(("part", "targets met", "not met"), tuple(rows), words=3))


def targets(name: str, found: Mapping[str, Any]) -> list[tuple[str, bool | None]]:
    """Give each figure of a part by its name, and whether it met its target; None where it has none."""
    if name == "peers":
        from bench_report.peer_section import verdicts_of

        return [(f"{task}: {v.expected}", v.met) for task, verdicts in verdicts_of(found).items() for v in verdicts]
    return [(figure["name"], _met(figure)) for figure in found["figures"]]


def _figures(found: Mapping[str, Any]) -> str:
    rows = []
    for figure in found["figures"]:
        met = _met(figure)
        value = f"{plain(figure['value'])}{'' if figure['unit'] == '×' else ' '}{figure['unit']}".strip()
        rows.append((figure["name"], value, _target(figure), "" if met is None else ("met" if met else "**not met**")))
    return markdown(Table(("figure", "seen", "target", ""), tuple(rows)))


def _met(figure: Mapping[str, Any]) -> bool | None:
    low, high, value = figure["at_least"], figure["at_most"], figure["value"]
    if low is None and high is None:
        return None
    return (low is None or value >= low) and (high is None or value <= high)


def _target(figure: Mapping[str, Any]) -> str:
    low, high, unit = figure["at_least"], figure["at_most"], figure["unit"]
    space = "" if unit == "×" else " "
    words = [f"at least {plain(low)}{space}{unit}"] if low is not None else []
    words += [f"at most {plain(high)}{space}{unit}"] if high is not None else []
    return ", ".join(words).strip()


def _made(found: Mapping[str, Any]) -> str:
    """Say when, on what and by which command; and that the machine was busy, where it was."""
    machine = found["machine"]
    hardware, versions = machine["hardware"], machine["versions"]
    busy = machine["load"] / max(int(hardware["cores"]), 1)
    note = f" **The machine was busy: load average {machine['load']:.1f} at the start.**" if busy > 0.5 else ""
    wrong = f" It ended with exit status {found['status']}." if found.get("status") else ""
    return (
        f"`{found['command']}`, {machine['started']}, {found['took_s']:.0f} s. {hardware['cpu']}, {hardware['cores']} "
        f"cores, {hardware['memory']}, {hardware['system']}; {_listed(versions)}.{wrong}{note}"
    )


def _listed(versions: Mapping[str, str]) -> str:
    names: Sequence[str] = sorted(versions)
    return ", ".join(f"{name} {versions[name]}" for name in names)
