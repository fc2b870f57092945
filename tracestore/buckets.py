"""Durations in logarithmic buckets, 32 to a doubling: sums of places, and quantiles that are off by 1.6 % at most.

In: nanoseconds. Out: bucket numbers, and values for them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

BITS = 5
"""Of a float's mantissa: 2^5 buckets to a doubling."""

BUCKETS = 64 << BITS
_ONE = 1023 << BITS  # where 1.0 is among the leading bits of doubles


def bucket_of(duration: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The bucket of each duration: 0 holds what is below 1 ns."""
    bits = np.maximum(duration, 0).astype(np.float64).view(np.int64) >> (52 - BITS)
    return np.maximum(bits - _ONE + 1, 0)


def middle_ns(bucket: int) -> float:
    """The middle of a bucket."""
    if bucket <= 0:
        return 0.0
    octave, part = divmod(bucket - 1, 1 << BITS)
    return float(2.0**octave * (1 + (part + 0.5) / (1 << BITS)))


def quantile_ns(counts: Mapping[int, int], quantile: float) -> int | None:
    """The value at or below which this share of the counted lies; None where none is."""
    left = quantile * sum(n for n in counts.values() if n > 0)
    for bucket in sorted(b for b, n in counts.items() if n > 0):
        left -= counts[bucket]
        if left <= 0:
            return round(middle_ns(bucket))
    return None
