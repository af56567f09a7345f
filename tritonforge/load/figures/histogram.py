"""A log-linear histogram of whole numbers: bounded memory however many, mergeable, with a stated error.

Each power of two is cut into 256 buckets of one width, as HdrHistogram does (http://hdrhistogram.org): below 512 every
value has a bucket of its own; above, a bucket's middle is within `RELATIVE_ERROR` of what fell into it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["RELATIVE_ERROR", "Histogram", "bucket_bounds", "bucket_of", "buckets_of"]

_BITS = 8
RELATIVE_ERROR = 2.0 ** -(_BITS + 1)
"""How far a percentile can be from the exact one, as a share of it: 0.2 %."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values fell into each bucket. Count, sum, sum of squares, least and greatest are exact.

    `counts` maps bucket numbers (`bucket_bounds`) to counts above 0, in ascending order. Values are nanoseconds.
    """

    counts: Mapping[int, int] = field(default_factory=dict)
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    minimum: int = 0
    maximum: int = 0

    @classmethod
    def of(cls, values: Iterable[int] | NDArray[np.int64]) -> Histogram:
        """Count values, none below 0."""
        array = np.asarray(values if isinstance(values, np.ndarray) else list(values), np.int64)
        if not array.size:
            return cls()
        buckets, counts = np.unique(buckets_of(array), return_counts=True)
        floats = array.astype(np.float64)
        return cls(
            dict(zip(buckets.tolist(), counts.tolist(), strict=True)),
            int(array.size),
            float(floats.sum()),
            float(np.square(floats).sum()),
            int(array.min()),
            int(array.max()),
        )

    def merged(self, other: Histogram) -> Histogram:
        """Give the histogram of both: the order of merging doesn't matter."""
        if not self.count or not other.count:
            return self if self.count else other
        counts = dict(self.counts)
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return Histogram(
            dict(sorted(counts.items())),
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    @property
    def mean(self) -> float:
        """The mean; 0 where nothing was counted."""
        return self.total / self.count if self.count else 0.0

    @property
    def std(self) -> float:
        """The standard deviation with n - 1; 0 for fewer than two values."""
        if self.count < 2:
            return 0.0
        return math.sqrt(max(0.0, (self.squares - self.total * self.total / self.count) / (self.count - 1)))

    def percentile(self, percent: float) -> float:
        """Give the value of rank `floor(percent / 100 * (n - 1) + 0.5)`, as perf_analyzer picks it; 0 where none.

        It is the middle of that value's bucket, within `RELATIVE_ERROR`, and within the least and greatest value.
        """
        if not self.count:
            return 0.0
        rank = math.floor(percent / 100 * (self.count - 1) + 0.5)
        seen = 0
        for bucket, count in self.counts.items():
            seen += count
            if seen > rank:
                low, high = bucket_bounds(bucket)
                return float(min(max((low + high) / 2, self.minimum), self.maximum))
        return float(self.maximum)

    def share_below(self, limit: float) -> float:
        """Give the share of values at or below a limit, a bucket counted by its middle; 1 where there are none."""
        if not self.count:
            return 1.0
        within = sum(count for bucket, count in self.counts.items() if sum(bucket_bounds(bucket)) / 2 <= limit)
        return within / self.count


def bucket_of(value: int) -> int:
    """Give the bucket of one value."""
    return int(buckets_of(np.array([value], np.int64))[0])


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """Give the least and the greatest value of a bucket."""
    shift = max(0, (bucket >> _BITS) - 1)
    low = (bucket - (shift << _BITS)) << shift
    return low, low + (1 << shift) - 1


def buckets_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the bucket of each value."""
    # frexp is exact below 2**53 ns, which is 104 days.
    exponents = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    shifts = np.maximum(exponents - _BITS, 0)
    buckets: NDArray[np.int64] = (shifts << _BITS) + (values >> shifts)
    return buckets
