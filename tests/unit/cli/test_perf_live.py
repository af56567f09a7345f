"""What is seen while a sweep runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.report.sample_report import report
from tritonforge.cli.perf_live import showing

POINTS = report(errors=3, stable=False).points


def shown(capsys: pytest.CaptureFixture[str], label: str = "") -> str:
    """Show a load on its way, and then all; give the words without the terminal's codes."""
    with showing(label) as live:
        live.window(POINTS[0])
        for point in POINTS:
            live.point(point)
        live.warn("a [warning]")
    out, err = capsys.readouterr()
    assert out == ""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", err)


@pytest.mark.parametrize(("width", "left_out"), [(200, []), (100, ["p99.9"]), (80, ["p99.9", "p95", "mean"])])
def test_a_terminals_table_loses_columns_before_figures(
    width: int, left_out: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    text = shown(capsys)
    assert "…" not in text
    header = next(line for line in reversed(text.splitlines()) if line.startswith("load ")).split()
    assert {"load", "inferences/s", "p50", "p99"} <= set(header)
    assert not set(left_out) & set(header)
    assert "concurrency 64" in text
    assert "a [warning]" in text


def test_a_log_gets_a_plain_line_for_each_load(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    lines = shown(capsys).splitlines()
    assert len(lines) == len(POINTS) + 1
    assert re.fullmatch(r"concurrency 1 \(http\): inferences/s .*, p99 .*, errors 3, SLO met, note unstable", lines[0])


def test_lines_of_one_of_several_have_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    lines = shown(capsys, "ci.toml").splitlines()
    assert lines[0].startswith("ci.toml: concurrency 1 (http): ")
    assert lines[-1] == "ci.toml: a [warning]"


SHOWS = """
from tests.unit.cli.test_perf_live import POINTS
from tritonforge.cli.perf_live import showing

with showing() as live:
    live.window(POINTS[0])
    live.point(POINTS[0])
    live.warn("a warning")
print("all was measured")
"""


@pytest.mark.parametrize("terminal", ["1", ""])
def test_what_cannot_be_shown_ends_nothing(terminal: str) -> None:
    ended = on_a_full_disk("-c", SHOWS, FORCE_COLOR=terminal)
    assert (ended.returncode, ended.stdout) == (0, "all was measured\n")


def test_what_cannot_be_said_changes_no_exit_code() -> None:
    assert on_a_full_disk("-m", "tritonforge", "perf", "echo", "--concurrency", "0").returncode == 2


def on_a_full_disk(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a standard error that can't be written."""
    root = Path(__file__).parents[3]
    environment = {name: value for name, value in os.environ.items() if name != "TTY_COMPATIBLE"} | variables
    with open("/dev/full", "wb", buffering=0) as full:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=root, env=environment, stdout=subprocess.PIPE, stderr=full, text=True, timeout=60, check=False,
        )  # fmt: skip
