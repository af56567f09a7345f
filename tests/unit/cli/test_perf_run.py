"""Scenarios of files, one after another, without a server."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tritonforge.cli import app
from tritonforge.load import ModelLoad, Report, ServerGone, Settings
from tritonforge.load.observed.environment import describe
from tritonforge.report.scenario import Scenario


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have every scenario measured at once, without a load; give the models in their turn.

    The model `gone` is that of a server that goes away.
    """
    models: list[str] = []

    def sweep(scenario: Scenario, **_: Any) -> Report:
        models.append(scenario.model)
        if scenario.model == "gone":
            raise ServerGone("the server went away")
        return Report(Settings("http://127.0.0.1:1", (ModelLoad(scenario.model),)), describe({}), 0, ())

    monkeypatch.setattr("tritonforge.report.sweep.sweep", sweep)
    return models


def run(folder: Path, *models: str, options: tuple[str, ...] = (), more: str = "") -> Result:
    files = []
    for model in models:
        file = folder / f"{model}.toml"
        file.write_text(f'model = "{model}"\n{more}')
        files.append(str(file))
    return CliRunner().invoke(app, ["perf", "run", *files, *options])


def test_several_are_run_and_the_worst_of_them_is_the_exit_code(measured: list[str], tmp_path: Path) -> None:
    result = run(tmp_path, "a", "gone", "b", options=("--output", str(tmp_path / "out")))
    assert measured == ["a", "gone", "b"]
    assert result.exit_code == 4, result.output
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == [
        f"{name}.{kind}" for name in "ab" for kind in ("csv", "html", "json")
    ]
    assert str(tmp_path / "b.toml") in result.stdout.splitlines()
    assert run(tmp_path, "a", "b").exit_code == 0


def test_one_that_cannot_be_read_keeps_all_from_running(measured: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("concurrency = 3\n")
    result = run(tmp_path, "a", options=(str(tmp_path / "bad.toml"),))
    assert (result.exit_code, measured) == (2, [])
    assert "model: " in result.output


def test_two_do_not_write_one_file(measured: list[str], tmp_path: Path) -> None:
    result = run(tmp_path, "a", "b", more='json = "same.json"\n')
    assert (result.exit_code, measured) == (2, [])
    where, both = (
        tmp_path / "same.json",
        f"both {tmp_path / 'a.toml'} and {tmp_path / 'b.toml'} would; run each by itself",
    )
    assert f"--json: {where} can't be written: {both}" in result.output


def test_scenarios_of_one_name_do_not_share_an_output(measured: list[str], tmp_path: Path) -> None:
    output = ("--output", str(tmp_path / "out"))
    (tmp_path / "deep").mkdir()
    other = tmp_path / "deep" / "a.toml"
    other.write_text('model = "a"\n')
    result = run(tmp_path, "a", options=(str(other), *output))
    assert (result.exit_code, measured) == (2, [])
    where = tmp_path / "out" / "a.json"
    assert f"--output: {where} can't be written: both {tmp_path / 'a.toml'} and {other} would; " in result.output
    result = run(tmp_path, "a", "a", options=output)
    assert f"{where} can't be written: {tmp_path / 'a.toml'} is named twice, and would write it twice" in result.output
    assert run(tmp_path, "a", "a").exit_code == 0, "without files it is measured twice"


@pytest.mark.parametrize("name", ["a.toml", "b.toml"])
def test_a_scenario_is_not_replaced(name: str, measured: list[str], tmp_path: Path) -> None:
    run(tmp_path, "b")
    del measured[:]
    result = (
        run(tmp_path, "a", "b", more=f'json = "{name}"\n')
        if name == "b.toml"
        else run(tmp_path, "a", more=f'json = "{name}"\n')
    )
    assert (result.exit_code, measured) == (2, [])
    assert (tmp_path / name).read_text().startswith("model = ")


def test_a_signal_that_comes_while_one_is_written_ends_the_rest(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: Any) -> list[Path]:
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    monkeypatch.setattr("tritonforge.report.write_report", write)
    result = run(tmp_path, "a", "b", options=("--output", str(tmp_path / "out")))
    assert (result.exit_code, measured) == (143, ["a"])
