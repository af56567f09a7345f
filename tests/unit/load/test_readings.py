"""The server's own figures at the windows' edges: read in time, whoever is late."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tritonforge.load.errors import LoadFailed
from tritonforge.load.observed.readings import Readings
from tritonforge.load.observed.statistics import Counters
from tritonforge.load.pacing.clock import NS, now_ns

DEADLINE_S = 20.0
BEFORE: Counters = {("m", "1"): {"inferences": 1}}


def readings(counters: Callable[[], Counters] = dict, *, last: int = 5, sparse: bool = False) -> Readings:
    """Read every 20 ms from now on."""
    return Readings(
        counters,
        lambda: None,
        first_ns=now_ns(),
        step_ns=NS // 50,
        last=last,
        sparse=sparse,
        before=BEFORE,
    )


def test_every_edge_is_read_while_nobody_asks() -> None:
    asked: list[int] = []

    def counters() -> Counters:
        asked.append(now_ns())
        return {}

    begun = now_ns()
    with readings(counters) as found:
        deadline = time.monotonic() + DEADLINE_S
        while len(asked) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        taken = [found.take() for _ in range(6)]
    assert [reading and reading.counters for reading in taken] == [BEFORE, {}, {}, {}, {}, {}]
    assert [reading.read_ns >= begun + edge * NS // 50 for edge, reading in enumerate(taken) if reading] == [True] * 6


@pytest.mark.parametrize("sparse", [True, False])
def test_readings_that_take_long_are_left_out_but_for_the_first_and_the_last(sparse: bool) -> None:
    def slow() -> None:
        time.sleep(0.05)

    found = Readings(dict, slow, first_ns=now_ns(), step_ns=NS // 50, last=5, sparse=sparse)
    with found:
        taken = [found.take() is not None for _ in range(6)]
    assert taken == [True, not sparse, not sparse, not sparse, not sparse, True]


def test_a_load_that_ends_by_itself_is_read_once_more() -> None:
    far = Readings(dict, lambda: None, first_ns=now_ns(), step_ns=NS * 1000, last=1 << 30, sparse=True)
    with far:
        assert far.take() is not None
        before = now_ns()
        (last,) = far.rest()
        assert last.read_ns >= before


def test_what_reading_raises_is_raised_where_it_is_asked_for() -> None:
    def counters() -> Counters:
        raise LoadFailed("no answer")

    with readings(counters) as found:
        assert found.take() is not None
        with pytest.raises(LoadFailed, match="no answer"):
            found.take()
