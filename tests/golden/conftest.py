"""The golden definitions, built once for all tests of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_tree import build_into


@pytest.fixture(scope="session")
def golden_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the golden definitions."""
    repository = tmp_path_factory.mktemp("golden") / "repository"
    build_into(repository)
    return repository
