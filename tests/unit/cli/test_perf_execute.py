"""How a measurement ends, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app


def test_an_interruption_before_the_first_figures_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tritonforge.report.sweep.sweep", interrupted)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 130
    assert result.output == "interrupted: nothing was measured yet, as no window was over\n"
