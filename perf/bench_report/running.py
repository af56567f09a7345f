"""One part run, and its raw figures kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import VARIABLE, describe_machine, save

from bench_report.parts import Part

__all__ = ["read_results", "run_part"]

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 1800.0
_LINES = 60


def run_part(part: Part, results: Path, *, quick: bool) -> bool:
    """Run a benchmark and keep `results/NAME.json`; what it prints goes to the terminal too. Tell whether it ran.

    Figures of an earlier run stay where it failed without any.
    """
    machine, began = describe_machine(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        own, notes = Path(folder) / "own.json", Path(folder) / "notes.jsonl"
        words = part.words(quick=quick) + (("--json", str(own)) if part.writes else ())
        status, said = _run(words, os.environ | {VARIABLE: str(notes)})
        found: dict[str, Any] = json.loads(own.read_text(encoding="utf-8")) if own.exists() else {}
        figures = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    if not found and not figures:
        print(f"{part.name} gave no figures (exit status {status})", file=sys.stderr, flush=True)
        return False
    kept = found | {
        "part": part.name,
        "command": " ".join(("python", *part.words(quick=quick))),
        "status": status,
        "took_s": round(time.monotonic() - began, 1),
        "figures": [json.loads(line) for line in figures],
        "said": said[-_LINES:],
    }
    save(results / f"{part.name}.json", kept, found.get("machine", machine))
    return True


def read_results(results: Path) -> dict[str, dict[str, Any]]:
    """Read what is kept of each part."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(results.glob("*.json"))}


def _run(words: tuple[str, ...], environment: dict[str, str]) -> tuple[int, list[str]]:
    said: list[str] = []
    deadline = time.monotonic() + LIMIT_S
    with subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line.rstrip())
            if time.monotonic() > deadline:
                process.terminate()
    return process.returncode, said
