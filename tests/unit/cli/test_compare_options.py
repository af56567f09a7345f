"""`tritonforge perf compare` of live servers: what its options say of the load."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tritonforge.cli import app, perf_compare

LIVE = ["perf", "compare", "http://127.0.0.1:1", "http://127.0.0.1:2", "--model", "m"]
OPTIONS = ["--body", "json", "-H", "triton-key: k", "--timeout", "3", "--request-parameter", "top:3:int"]


def test_servers_are_reached_as_measure_reaches_them(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []

    def live(scenario: Any, *_: object) -> None:
        taken.append(scenario)
        raise typer.Exit(0)

    monkeypatch.setattr(perf_compare, "_live", live)
    assert CliRunner().invoke(app, [*LIVE, *OPTIONS]).exit_code == 0
    settings = taken[0].settings("http://127.0.0.1:1")
    assert (settings.body, settings.headers, settings.timeout_s) == ("json", {"triton-key": "k"}, 3.0)
    assert settings.parameters == {"top": 3}


@pytest.mark.parametrize("option", [OPTIONS[place : place + 2] for place in range(0, len(OPTIONS), 2)])
def test_options_of_live_servers_say_nothing_of_reports(option: list[str]) -> None:
    result = CliRunner().invoke(app, ["perf", "compare", "a.json", "b.json", *option])
    assert result.exit_code == 2
    assert "it says nothing without live servers' URLs" in " ".join(result.output.replace("│", " ").split())
