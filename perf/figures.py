"""Figures of a benchmark for whoever reads them by program: perf/report.py names a file, each note is a line of it."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

__all__ = ["VARIABLE", "describe_machine", "note", "save"]

VARIABLE = "TRITONFORGE_FIGURES"


def note(
    name: str, value: float, unit: str = "", *, at_least: float | None = None, at_most: float | None = None
) -> None:
    """Add a figure, with the target that it is held against, to the file that the environment names, if any."""
    if file := os.environ.get(VARIABLE):
        figure = {"name": name, "value": float(value), "unit": unit, "at_least": at_least, "at_most": at_most}
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(figure) + "\n")


def describe_machine() -> dict[str, Any]:
    """Describe the machine and the versions, with its load as it is now."""
    from tritonforge.load.observed.environment import describe

    found = describe({})
    versions = {name: version for name, version in found.versions.items() if name != "server"}
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"versions": versions, "hardware": dict(found.hardware), "started": started, "load": os.getloadavg()[0]}


def save(file: Path, found: dict[str, Any], machine: dict[str, Any]) -> None:
    """Write what was found, with the machine, as JSON: whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"machine": machine} | found, indent=1) + "\n", encoding="utf-8")
    part.replace(file)
