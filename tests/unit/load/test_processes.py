"""What the server's processes took, by counters that tick."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.unit.report.sample_report import point
from tritonforge.load.observed.processes import Usage, between
from tritonforge.load.pacing.clock import NS
from tritonforge.report.tables import process_table

TICK_NS = NS // os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("elapsed", "ticks", "words"),
    [(30, 0, "–"), (30, 9, "–"), (30, 10, "0.33"), (10_000, 0, "0.00"), (10_000, 50, "0.01")],
)
def test_processor_time_of_a_few_ticks_is_not_told_as_a_figure(elapsed: int, ticks: int, words: str) -> None:
    """Of a long time few ticks are a figure: next to nothing."""
    used = between(Usage(0, {1: 0}, 1, 0), Usage(elapsed * TICK_NS, {1: ticks * TICK_NS}, 1, 0))
    table = process_table([replace(point(1), processes=used)])
    assert table.rows[0][table.columns.index("CPU cores")] == words
