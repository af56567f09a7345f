"""The names of marked times above a histogram."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tritonforge.report.charts.bars import Histogram, draw_histogram
from tritonforge.report.charts.frame import NARROW, WIDE, Frame


@pytest.mark.parametrize("frame", [NARROW, WIDE])
@pytest.mark.parametrize("tail", [600.0, 700.0, 750.0, 780.0, 800.0, 820.0, 850.0, 900.0])
def test_names_of_marked_times_are_not_over_each_other(tail: float, frame: Frame) -> None:
    """One at the right end is moved to where it has room, which may be where another is."""
    lines = ((100.0, "p50"), (tail, "p99"), (1000.0, "p99.9"))
    drawn = draw_histogram(Histogram("h", "", "", (90.0, 300.0, 1000.0), (9, 1), lines), frame)
    found = re.findall(r'<text x="([0-9.]+)"[^>]*limit-name[^>]*>([^<]+)<', drawn)
    assert found[0][1] == "p50"
    places = [(float(x) - 3.5 * len(name), float(x) + 3.5 * len(name)) for x, name in found]
    assert len(found) == drawn.count('class="limit"')
    assert all(end < start for (_, end), (start, _) in pairwise(places))
