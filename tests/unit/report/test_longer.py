"""How much longer to measure."""

from __future__ import annotations

import math

import pytest

from tritonforge.report.longer import longer_words, times_as_long
from tritonforge.report.ratios import Ratio


def ratio(estimate: float, reach: float) -> Ratio:
    """Make one whose interval reaches so far over logarithms."""
    return Ratio(estimate, estimate * math.exp(-reach), estimate * math.exp(reach))


@pytest.mark.parametrize(
    ("found", "times"),
    [
        (ratio(math.exp(0.1), 0.19), 4),
        (ratio(math.exp(-0.1), 0.19), 4),
        (ratio(1.0, 3.9 * math.log(1.03)), 16),
        (ratio(math.exp(0.1), 0.99), 99),
        (ratio(math.exp(0.1), 1.01), None),
        (Ratio(1.1, 0.0, math.inf), None),
        (Ratio(math.exp(0.1), math.exp(-0.1), math.exp(0.5)), 4),
    ],
)
def test_the_reach_shrinks_with_the_square_root_of_time(found: Ratio, times: int | None) -> None:
    assert times_as_long(found, 0.03) == times
    if times is not None and found.high / found.estimate == pytest.approx(found.estimate / found.low):
        reach = math.log(found.high / found.estimate) / math.sqrt(times)
        shorter = ratio(found.estimate, reach)
        assert not shorter.low < 1 < shorter.high or (shorter.low > 0.97 and shorter.high < 1.03)


def test_the_nearest_are_named() -> None:
    found = [("a", 9), ("b", None), ("c", 2), ("d", 3), ("e", 5), ("f", 7)]
    assert longer_words(found, paired=False) == [
        "unsure verdicts need at least about so many times as long a --duration, if the ratios stay what they are: "
        "2 times for c, 3 times for d, 5 times for e and up to 9 times for 2 more"
    ]
    assert "as many --pairs" in longer_words(found[:1], paired=True)[0]
    assert longer_words([("b", None)], paired=False) == []
