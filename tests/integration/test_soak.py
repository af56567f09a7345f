"""The soak test, for some seconds: nothing lost, nothing answered twice, nothing that grows; and that it would tell."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PERF = Path(__file__).resolve().parents[2] / "perf"
MINUTES = 0.35
GROWTH_MIB = 24
"""Of so short a run the warm-up is a good part; a lost response of each call would show all the same."""


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(PERF))
    return importlib.import_module("soak")


def test_load_with_errors_and_cancellations_loses_nothing_and_leaves_nothing() -> None:
    command = [sys.executable, str(PERF / "soak.py"), "--minutes", str(MINUTES), "--growth-mib", str(GROWTH_MIB)]
    for _ in range(3):  # Triton 24.10 can crash on calls that are broken off (its issue 7368): not what is tested
        result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if result.returncode != 3:
            break
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 lost, wrong, or answered twice" in result.stdout
    for kind in ("good", "failing", "cancelled", "late", "streamed", "stream_cancelled", "sequence"):
        assert f" {kind}" in result.stdout
    assert "plain uss" in result.stdout


def test_growth_is_told(soak: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one figure among steady and noisy ones."""
    noisy = [(float(second), 40.0 + second % 3) for second in range(100)]
    growing = [(float(second), 40.0 + second / 10) for second in range(100)]
    assert soak.report_growth({"steady": noisy}, 4.0)
    assert not soak.report_growth({"steady": noisy, "leaking": growing}, 4.0)
    assert "GROWS" in capsys.readouterr().out.splitlines()[-1]


def test_a_wrong_answer_is_told(soak: ModuleType) -> None:
    calls = soak.Calls(client=None)
    calls.outcomes["good"] = 1
    assert soak.report_calls(calls)
    calls.faults.append("good: got [7]; wanted [4]")
    assert not soak.report_calls(calls)
