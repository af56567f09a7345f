"""`tritonforge image` where it is misused."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from tritonforge.cli import app


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    """It may hold changes to an earlier output."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "Dockerfile").write_text("changed by hand")
    refused = CliRunner().invoke(app, ["image", str(tmp_path / "models"), "--output", str(tmp_path / "out")])
    assert refused.exit_code == 2
    assert "is there already; name a new folder, or remove it first" in " ".join(refused.output.split())
    assert (tmp_path / "out" / "Dockerfile").read_text() == "changed by hand"
