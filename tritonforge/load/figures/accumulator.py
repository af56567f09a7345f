"""Values counted as they come: what a `Histogram` is made of, changed in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tritonforge.load.figures.histogram import Histogram, buckets_of

__all__ = ["Accumulator"]


class Accumulator:
    """Counts of buckets in an array that grows to the greatest one, at most some 14,000.

    Adding takes as long however much was counted before, so that what is measured isn't held up the longer it runs.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(0, np.int64)
        self._count, self._minimum, self._maximum = 0, 0, 0
        self._total = self._squares = 0.0

    def add(self, values: NDArray[np.int64]) -> None:
        """Count values, none below 0."""
        if not values.size:
            return
        counts = np.bincount(buckets_of(values))
        if len(counts) > len(self._counts):
            self._counts = np.pad(self._counts, (0, len(counts) - len(self._counts)))
        self._counts[: len(counts)] += counts
        floats = values.astype(np.float64)
        self._total += float(floats.sum())
        self._squares += float(np.square(floats).sum())
        least, greatest = int(values.min()), int(values.max())
        self._minimum = min(self._minimum, least) if self._count else least
        self._maximum = max(self._maximum, greatest)
        self._count += int(values.size)

    def take(self) -> Histogram:
        """Give the histogram of all values so far, and begin anew."""
        (buckets,) = np.nonzero(self._counts)
        counts = dict(zip(buckets.tolist(), self._counts[buckets].tolist(), strict=True))
        histogram = Histogram(counts, self._count, self._total, self._squares, self._minimum, self._maximum)
        self._counts[:] = 0
        self._count, self._minimum, self._maximum = 0, 0, 0
        self._total = self._squares = 0.0
        return histogram
