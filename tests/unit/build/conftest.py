"""An empty project for each test of the build."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make a project, and its folder the working directory."""
    root = tmp_path / "my project é"  # paths have blanks and more than ASCII in them
    root.mkdir()
    monkeypatch.chdir(root)
    return Project(root, root / "model_repository")
