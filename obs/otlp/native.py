"""Native histograms that can be added to one another: what deltas of exponential histograms come to.

Their resolutions and zero buckets may differ from point to point; the sum has the coarser one, and the wider one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from obs.otlp.limits import MAX_DELTA_BUCKETS

COARSEST = -4
"""The schema whose buckets are widest: each is 65,536 times as wide as the one before."""

Buckets = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Native:
    """A native histogram: counts by the index of their bucket, whose upper bound is 2**(index * 2**-schema)."""

    schema: int
    count: float
    sum: float
    zero_threshold: float
    zero_count: float
    positive: Buckets
    negative: Buckets

    @property
    def buckets(self) -> int:
        """How many it has, which is what it takes of memory."""
        return len(self.positive) + len(self.negative)

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> Native:
        """From what `HISTOGRAMS` has after series and time."""
        schema, count, total, threshold, zero_count, first, counts, negative_first, negative_counts, _, _ = columns
        positive, negative = enumerate(counts, first), enumerate(negative_counts, negative_first)
        return cls(schema, count, total, threshold, zero_count, dict(positive), dict(negative))

    def columns(self) -> tuple[Any, ...]:
        """What `HISTOGRAMS` has after series and time."""
        numbers = (self.schema, self.count, self.sum, self.zero_threshold, self.zero_count)
        return (*numbers, *_dense(self.positive), *_dense(self.negative), None, 0)

    def plus(self, other: Native) -> Native:
        """Both together, no wider than `MAX_DELTA_BUCKETS` on a side."""
        schema = min(self.schema, other.schema)
        one, two = self._at(schema), other._at(schema)
        if one.zero_threshold != two.zero_threshold:
            last = _bucket_of(max(one.zero_threshold, two.zero_threshold), schema)
            one, two = one._emptied(last), two._emptied(last)
        total = Native(
            schema, one.count + two.count, one.sum + two.sum, one.zero_threshold, one.zero_count + two.zero_count,
            _added(one.positive, two.positive), _added(one.negative, two.negative),
        )  # fmt: skip
        while total.schema > COARSEST and max(_width(total.positive), _width(total.negative)) > MAX_DELTA_BUCKETS:
            total = total._at(total.schema - 1)
        return total

    def _at(self, schema: int) -> Native:
        """The same at a resolution that is no finer."""
        shift = self.schema - schema
        if not shift:
            return self
        return replace(
            self, schema=schema, positive=_coarser(self.positive, shift), negative=_coarser(self.negative, shift)
        )

    def _emptied(self, last: int) -> Native:
        """With the buckets up to `last` in the zero bucket."""
        sides = self.positive, self.negative
        inside = sum(count for side in sides for index, count in side.items() if index <= last)
        positive, negative = ({i: c for i, c in side.items() if i > last} for side in sides)
        return replace(
            self, positive=positive, negative=negative, zero_count=self.zero_count + inside,
            zero_threshold=_bound(last, self.schema),
        )  # fmt: skip


def _bound(index: int, schema: int) -> float:
    """The upper bound of a bucket; of the last one the largest double."""
    power = math.ldexp(index, -schema)
    return 2.0**power if power < sys.float_info.max_exp else sys.float_info.max


def _bucket_of(value: float, schema: int) -> int:
    """The index of the bucket that holds a positive value; a bound, however it was rounded, is its own bucket's."""
    return math.ceil(math.ldexp(math.log2(value), schema) - 1e-9)


def _coarser(buckets: Buckets, shift: int) -> Buckets:
    counts: dict[int, float] = {}
    for index, count in buckets.items():
        target = ((index - 1) >> shift) + 1
        counts[target] = counts.get(target, 0.0) + count
    return counts


def _added(one: Buckets, two: Buckets) -> Buckets:
    return {index: one.get(index, 0.0) + two.get(index, 0.0) for index in one.keys() | two.keys()}


def _width(buckets: Buckets) -> int:
    return max(buckets) - min(buckets) + 1 if buckets else 0


def _dense(buckets: Buckets) -> tuple[int, list[float]]:
    """The index of the first bucket, and the counts without gaps."""
    if not buckets:
        return 0, []
    first = min(buckets)
    return first, [buckets.get(index, 0.0) for index in range(first, max(buckets) + 1)]
