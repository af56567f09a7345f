"""The fixture that measures in users' tests, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tritonforge.load import Report
from tritonforge.report import read_report
from tritonforge.report.options import BadOption
from tritonforge.report.places import Unwritable

from .sample_report import report


def test_files_are_written(perf_sweep: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda scenario: report())
    file = tmp_path / "new" / "out.json"
    found = perf_sweep("m", json=file, csv=str(tmp_path / "out.csv"))
    assert read_report(file) == found
    assert (tmp_path / "out.csv").read_text().startswith("Concurrency,")
    with pytest.raises(Unwritable, match=r"--json: .*out\.csv can't be written"):
        perf_sweep("m", json=tmp_path / "out.csv")


@pytest.mark.parametrize("option", ["baseline", "max_regression", "max_errors"])
def test_what_only_the_command_judges_by_is_refused(option: str, perf_sweep: Callable[..., Report]) -> None:
    with pytest.raises(BadOption, match=f"--{option.replace('_', '-')}: it judges nothing in a test"):
        perf_sweep("m", **{option: "5%"})
