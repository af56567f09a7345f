"""Counting as values come, against counting them all at once; and what a long run keeps in memory."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.figures.accumulator import Accumulator
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Tally

BATCHES = st.lists(st.lists(st.integers(0, 10**7), max_size=30), max_size=8)


@given(BATCHES, BATCHES)
def test_batches_give_the_histogram_of_all_and_then_nothing(first: list[list[int]], second: list[list[int]]) -> None:
    accumulator = Accumulator()
    for batches in (first, second):
        for batch in batches:
            accumulator.add(np.array(batch, np.int64))
        assert accumulator.take() == Histogram.of([value for batch in batches for value in batch])
    assert accumulator.take() == Histogram()


def test_memory_is_bounded_however_many_requests_there_are() -> None:
    """A window's requests, here between 0.1 ms and 10 s, are counts of buckets: ten times as many take no more."""
    sizes, peaks = [], []
    tracemalloc.start()
    try:
        for requests in (20_000, 200_000):
            tallies: list[Tally] = []
            recorder = Recorder(1 << 60, tallies.append)
            recorder.begin(0)
            recorder.roll(0)
            lane = Lane()
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            for number in range(requests):
                lane.intended, lane.started, lane.last = number, number + 7, number % 3
                recorder.add(lane, number + 100_000 * (1 + number % 100_000))
                recorder.add_response(lane, number + 10)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            recorder.finish(requests)
            assert tallies[0].latency.count == requests
            sizes.append(len(pickle.dumps(tallies[0])))
    finally:
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert sizes[1] < 1.5 * sizes[0]
