"""`tritonforge import`, as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.errors import DiagnosticError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a repository of one model, as the working directory."""
    version = tmp_path / "hand" / "m" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text("")
    (version.parent / "config.pbtxt").write_text('backend: "python"')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_definitions_are_written_and_the_next_command_is_named(here: Path) -> None:
    result = CliRunner().invoke(app, ["import", "hand", "-o", "m.py"])
    assert (result.exit_code, result.output) == (0, "1 model in m.py; build them with: tritonforge build m.py\n")
    assert 'm = model_files("hand/m", backend="python")\n' in (here / "m.py").read_text()


def test_a_file_that_no_build_takes_is_not_written(here: Path) -> None:
    refused = CliRunner().invoke(app, ["import", "hand", "-o", "onnx.py"])
    assert refused.exit_code == 2
    assert "a module named onnx would hide" in refused.output
    assert not (here / "onnx.py").exists()


def test_a_file_is_replaced_only_if_asked_to(here: Path) -> None:
    (here / "serving.py").write_text("mine")
    refused = CliRunner().invoke(app, ["import", "hand"])
    assert refused.exit_code == 2
    assert "serving.py is there already" in refused.output
    assert (here / "serving.py").read_text() == "mine"
    assert CliRunner().invoke(app, ["import", "hand", "--force"]).exit_code == 0
    assert (here / "serving.py").read_text() != "mine"


def test_a_folder_that_is_no_repository_leaves_no_file(here: Path) -> None:
    (here / "empty").mkdir()
    result = CliRunner().invoke(app, ["import", "empty"])
    assert isinstance(result.exception, DiagnosticError)
    assert not (here / "serving.py").exists()
