"""GPU figures, as a stand-in for nvidia-smi tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.load.observed.gpu import Gpu, read_gpu

ANSWERS = """#!/bin/sh
case "$1" in
  --query-gpu*) printf '{busy}' ;;
  *) printf '{held}' ;;
esac
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *, busy: str, held: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(ANSWERS.format(busy=busy, held=held))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_mean_of_all_gpus_and_the_memory_of_ones_own_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, busy=r"20\n60\n", held=r"7, 100\n8, 50\n9, 4000\n")
    assert read_gpu({7, 8}) == Gpu(0.4, 150 << 20)


def test_what_a_gpu_does_not_tell_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is cut in parts has no utilization, and some drivers know no process's memory."""
    stand_in(tmp_path, monkeypatch, busy=r"[N/A]\n30\n", held=r"7, [N/A]\n8, 50\n")
    assert read_gpu({7, 8}) == Gpu(0.3, 50 << 20)
    stand_in(tmp_path, monkeypatch, busy=r"[N/A]\n", held="")
    assert read_gpu({7}) == Gpu(None, 0)


def test_without_gpus_there_are_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_gpu({7}) is None
    stand_in(tmp_path, monkeypatch, busy="No devices were found", held="")
    assert read_gpu({7}) is None
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert read_gpu({7}) is None
