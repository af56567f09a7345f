"""Collect `bench_*.py` and the `bench_*` functions in them."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Widen what counts as a test, in this folder's runs only."""
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line("python_functions", "bench_*")
