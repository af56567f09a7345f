"""The registry of benchmarks, their figures, and the report that is written of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_report.parts import PARTS, Part
from bench_report.render import render
from bench_report.running import read_results, run_part
from figures import VARIABLE, note
from peers import PEERS, TRITONFORGE

from tests.unit.perf.conftest import PERF
from tests.unit.perf.peer_results import MACHINE

NOTES = """
from figures import note

note("ratio", 2, "×", at_least=1.5)
note("time", 3, "s", at_most=2)
print("x")
"""


def script(tmp_path: Path, body: str) -> Part:
    (tmp_path / "bench.py").write_text(f"import sys\nsys.path.insert(0, {str(PERF)!r})\n{body}\n")
    return Part("mine", "Mine", (str(tmp_path / "bench.py"),), quick=("--short",))


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
def test_each_part_is_a_benchmark_that_takes_its_options(part: Part) -> None:
    (file,) = (Path(PERF.parent, word) for word in part.command if word.endswith(".py"))
    text = file.read_text(encoding="utf-8")
    for option in (*part.quick, *part.full):
        assert not option.startswith("--") or f'"{option}"' in text
    assert part.writes == ('"--json"' in text)
    assert part.writes or "note(" in text or "ratio(" in text


def test_figures_are_kept_with_their_targets(tmp_path: Path) -> None:
    assert run_part(script(tmp_path, NOTES), tmp_path / "results", quick=True)
    (found,) = read_results(tmp_path / "results").values()
    assert found["command"].endswith("bench.py --short")
    assert found["said"] == ["x"]
    assert found["figures"] == [
        {"name": "ratio", "value": 2.0, "unit": "×", "at_least": 1.5, "at_most": None},
        {"name": "time", "value": 3.0, "unit": "s", "at_least": None, "at_most": 2},
    ]
    assert int(found["machine"]["hardware"]["cores"]) >= 1


def test_a_benchmark_that_fails_leaves_the_figures_of_before(tmp_path: Path) -> None:
    assert run_part(script(tmp_path, NOTES), tmp_path / "results", quick=True)
    assert not run_part(script(tmp_path, "sys.exit('no server')"), tmp_path / "results", quick=True)
    assert len(read_results(tmp_path / "results")["mine"]["figures"]) == 2


def test_one_that_fails_after_figures_keeps_them_and_its_status(tmp_path: Path) -> None:
    assert run_part(script(tmp_path, f"{NOTES}sys.exit(1)"), tmp_path / "results", quick=True)
    assert read_results(tmp_path / "results")["mine"]["status"] == 1


def test_without_a_reader_nothing_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    note("ratio", 1)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "notes"))
    note("ratio", 1)
    assert json.loads((tmp_path / "notes").read_text())["name"] == "ratio"


def kept(**other: Any) -> dict[str, Any]:
    figures = [
        {"name": "fused over ensemble", "value": 1.6, "unit": "×", "at_least": 1.5, "at_most": None},
        {"name": "bls over ensemble", "value": 0.8, "unit": "×", "at_least": 0.9, "at_most": None},
        {"name": "aside", "value": 12.0, "unit": "s", "at_least": None, "at_most": None},
    ]
    found = {"machine": MACHINE, "command": "python perf/bench_lowerings.py", "took_s": 9.0, "status": 0}
    return found | {"figures": figures} | other


def test_the_report_says_what_was_met_and_what_was_not() -> None:
    text = render({"lowerings": kept()})
    assert "| Ensemble, fused, bls: one pipeline in its lowerings | 1 of 2 | bls over ensemble |" in text
    assert "| What else could serve the examples | not measured yet |" in text
    assert "| fused over ensemble | 1.6× | at least 1.5× | met |" in text
    assert "| bls over ensemble | 0.8× | at least 0.9× | **not met** |" in text
    assert "| aside | 12 s |  |  |" in text
    assert "`python perf/bench_lowerings.py`, 2026-01-02T03:04:05+00:00, 9 s. A CPU, 2 cores, 8 GB, Linux;" in text
    assert "busy" not in text


def test_a_busy_machine_and_a_failed_run_are_told() -> None:
    text = render({"lowerings": kept(machine=MACHINE | {"load": 7.25}, status=1)})
    assert "**The machine was busy: load average 7.2 at the start.**" in text
    assert "It ended with exit status 1." in text


def test_the_report_is_written_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "lowerings.json").write_text(json.dumps(kept()))
    command = [sys.executable, str(PERF / "report.py"), "--render", "--output", str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    assert (tmp_path / "REPORT.md").read_text(encoding="utf-8") == render({"lowerings": kept()})
    subprocess.run([*command[:-1], str(tmp_path / "none" / "yet")], check=True, timeout=120)
    assert (tmp_path / "none" / "yet" / "REPORT.md").read_text(encoding="utf-8") == render({})


@pytest.mark.parametrize("key", PEERS)
def test_a_peer_has_its_program_and_pinned_requirements(key: str) -> None:
    """The folder of a name that a package has too holds no package: it would hide the other."""
    folder = PERF / "peers" / key
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"[\w-]+(\[\w+\])?==[\w.]+", line) for line in lines)
    assert not (folder / "__init__.py").exists()
    assert PEERS[key].settings


def test_ours_needs_no_environment_of_its_own() -> None:
    folder = PERF / "peers" / TRITONFORGE.key
    assert (folder / "serve.py").exists()
    assert not (folder / "requirements.txt").exists()
