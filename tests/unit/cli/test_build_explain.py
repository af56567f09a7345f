"""`tritonforge build --explain`: which lowering each pipeline took, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app

SOURCE = """\
import numpy as np
from jaxtyping import Float32

from tritonforge import Instances, model, pipeline

Rows = Float32[np.ndarray, "batch 2"]


@model
def double(x: Rows) -> Rows:
    return x * 2


@model(instances=Instances(cpu=2))
def heavy(x: Rows) -> Rows:
    return x * 3


@pipeline(lowering="auto")
def quick(x: Rows) -> Rows:
    return double(double(x))


@pipeline(lowering="auto")
def wide(x: Rows) -> Rows:
    return heavy(double(x))


@pipeline
def plain(x: Rows) -> Rows:
    return double(x)
"""
TOLD = """\
serving.py:29 plain: ensemble, as its definition says
  not fused: nothing speaks against it, and it has no hops between steps
  not bls: its body only chains models, and needs no code between their calls
serving.py:19 quick: fused, chosen by auto
  because all its steps (double) are Python that loses nothing by running in one process
  not ensemble: each step would be a model of its own, with a hop through the server between them
  not bls: its body only chains models, and needs no code between their calls
serving.py:24 wide: ensemble, chosen by auto
  because heavy has settings that count only where it is scheduled by itself: instances
  not bls: its body only chains models, and needs no code between their calls
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "serving.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_pipeline_is_explained_after_the_build(here: Path) -> None:
    result = CliRunner().invoke(app, ["build", "serving.py", "--explain"])

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(TOLD)
    assert 'platform: "ensemble"' in (here / "model_repository/wide/config.pbtxt").read_text()
    assert 'backend: "python"' in (here / "model_repository/quick/config.pbtxt").read_text()


def test_a_build_says_nothing_of_it_unasked(here: Path) -> None:
    said = CliRunner().invoke(app, ["build", "serving.py"]).stdout
    assert "chosen by auto" not in said
    assert not any(line.endswith(" ") for line in said.splitlines())


def test_it_needs_a_build(here: Path) -> None:
    result = CliRunner().invoke(app, ["build", "serving.py", "--explain", "--check"])

    assert result.exit_code == 2
    assert "--check builds nothing" in result.stderr
