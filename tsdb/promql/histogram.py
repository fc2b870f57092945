"""A native histogram sample: exponential buckets (or custom bounds) by index, a zero bucket, count and sum.

Values are frozen; every operation gives a new one. Text and equality are what scripts and `count_values` show.
Source: https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

from obs.tsdb.promql.formatting import go_general

CUSTOM_SCHEMA = -53
"""The schema whose buckets have their own upper bounds, as classic histograms do."""

UNKNOWN, RESET, NOT_RESET, GAUGE = "", "reset", "not_reset", "gauge"
"""Counter reset hints: what a sample knows of its predecessor."""


class Bucket(NamedTuple):
    """One bucket; `Histogram` knows which of its ends belong to it."""

    lower: float
    upper: float
    n: float  # observations in it


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket index; index i of schema s ends at 2 ** (i * 2 ** -s), of a custom one at custom_values[i]."""

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Mapping[int, float] = field(default_factory=dict)
    negative: Mapping[int, float] = field(default_factory=dict)
    custom_values: tuple[float, ...] = ()
    hint: str = UNKNOWN

    @property
    def is_custom(self) -> bool:
        """Whether the buckets have bounds of their own."""
        return self.schema == CUSTOM_SCHEMA

    def upper(self, index: int) -> float:
        """The upper bound of a positive bucket."""
        if self.is_custom:
            return self.custom_values[index] if index < len(self.custom_values) else math.inf
        return bound(index, self.schema)

    def lower(self, index: int) -> float:
        """The lower bound of a positive bucket."""
        if self.is_custom and index == 0:
            return -math.inf
        return self.upper(index - 1)

    def positives(self) -> Iterator[Bucket]:
        """Positive buckets, rising."""
        for i in sorted(self.positive):
            yield Bucket(self.lower(i), self.upper(i), self.positive[i])

    def negatives(self) -> Iterator[Bucket]:
        """Negative buckets from zero downwards."""
        for i in sorted(self.negative):
            yield Bucket(-self.upper(i), -self.lower(i), self.negative[i])

    def buckets(self) -> list[Bucket]:
        """All buckets from the lowest to the highest, the zero bucket where it holds something."""
        zero = [Bucket(-self.zero_threshold, self.zero_threshold, self.zero_count)] if self.zero_count != 0 else []
        return [*reversed(list(self.negatives())), *zero, *self.positives()]

    def with_hint(self, hint: str) -> Histogram:
        """The same with another counter reset hint."""
        return replace(self, hint=hint)

    def statistics(self, hint: str) -> Histogram:
        """Its count and sum alone, under another counter reset hint."""
        return Histogram(self.schema, self.count, self.sum, hint=hint)

    def compact(self) -> Histogram:
        """The same without empty buckets."""
        positive = {i: c for i, c in self.positive.items() if c != 0}
        negative = {i: c for i, c in self.negative.items() if c != 0}
        return replace(self, positive=positive, negative=negative)

    def scale(self, factor: float) -> Histogram:
        """All counts and the sum times a factor; a negative one makes it a gauge."""
        return self._mapped(lambda c: c * factor, GAUGE if factor < 0 else self.hint)

    def divide(self, divisor: float) -> Histogram:
        """All counts and the sum over a divisor; over zero the buckets go."""
        if divisor == 0:
            empty = replace(self, positive={}, negative={})
            return replace(
                empty, count=_over_zero(self.count), sum=_over_zero(self.sum), zero_count=_over_zero(self.zero_count)
            )
        return self._mapped(lambda c: c / divisor, GAUGE if divisor < 0 else self.hint)

    def _mapped(self, change: Callable[[float], float], hint: str) -> Histogram:
        return replace(
            self,
            count=change(self.count),
            sum=change(self.sum),
            zero_count=0.0 if self.is_custom else change(self.zero_count),
            positive={i: change(c) for i, c in self.positive.items()},
            negative={i: change(c) for i, c in self.negative.items()},
            hint=hint,
        )

    def to_schema(self, schema: int) -> Histogram:
        """At a lower resolution."""
        if schema == self.schema or self.is_custom:
            return self
        shift = self.schema - schema
        return replace(
            self, schema=schema, positive=_coarser(self.positive, shift), negative=_coarser(self.negative, shift)
        )

    def __str__(self) -> str:
        parts = [f"count:{go_general(self.count)}", f"sum:{go_general(self.sum)}"]
        parts += [self._bucket_text(b) for b in self.buckets() if b.n != 0]
        return "{" + ", ".join(parts) + "}"

    def _bucket_text(self, b: Bucket) -> str:
        left, right = self._closed(b)
        edges = f"{'[' if left else '('}{go_general(b.lower)},{go_general(b.upper)}{']' if right else ')'}"
        return f"{edges}:{go_general(b.n)}"

    def _closed(self, b: Bucket) -> tuple[bool, bool]:
        """Whether the bounds belong to a bucket: (0.5,1] but [-1,-0.5); the zero bucket has both."""
        if self.is_custom:
            return math.isinf(b.lower), True
        return b.lower < 0 or b.lower == b.upper, b.upper > 0 or b.lower == b.upper

    def same(self, other: Histogram) -> bool:
        """Equal samples: NaN equals NaN, empty buckets and hints do not count."""
        return self._key() == other._key()

    def _key(self) -> tuple[object, ...]:
        h = self.compact()
        numbers = tuple(repr(float(x)) for x in (h.count, h.sum, h.zero_count))
        zero = None if h.is_custom else h.zero_threshold
        return (h.schema, numbers, zero, sorted(h.positive.items()), sorted(h.negative.items()), h.custom_values)

    def api_buckets(self) -> list[tuple[int, float, float, float]]:
        """(boundary rule, lower, upper, count) as the HTTP API gives them: 0 (], 1 [), 2 (), 3 []."""
        rules = {(False, True): 0, (True, False): 1, (False, False): 2, (True, True): 3}
        # A zero bucket is shown only where it has more than nothing: neither below zero nor NaN.
        shown = (b for b in self.buckets() if b.n > 0 or (b.n != 0 and (self.is_custom or b.lower != -b.upper)))
        return [(rules[self._closed(b)], *b) for b in shown]


_STEPS = (1.414213562373095, *(math.pow(2.0, math.pow(2.0, -k)) for k in range(2, 9)))
"""The square root of two (one place below the nearest double), the fourth root, the eighth … as Prometheus has them."""


@cache
def _fraction(part: int, schema: int) -> float:
    """2**(part / 2**schema - 1), rounded as Prometheus rounds it: the product of the roots, the largest first.

    Source: exponentialBounds in model/histogram/generic.go, all 256 of which come out bit for bit.
    """
    product = 0.5
    for k, step in enumerate(_STEPS[: max(schema, 0)]):
        if part >> (schema - 1 - k) & 1:
            product *= step
    return product


def bound(index: int, schema: int) -> float:
    """The upper bound of an exponential bucket. That of the last one below the infinite is the largest double."""
    power, part = (index << -schema, 0) if schema <= 0 else divmod(index, 1 << schema)
    if power == sys.float_info.max_exp and part == 0:
        return sys.float_info.max
    try:
        return math.ldexp(_fraction(part, schema), power + 1)
    except OverflowError:
        return math.inf


def _over_zero(value: float) -> float:
    return math.nan if value == 0 or math.isnan(value) else math.copysign(math.inf, value)


def _coarser(counts: Mapping[int, float], shift: int) -> dict[int, float]:
    out: dict[int, float] = {}
    for i, c in counts.items():
        target = ((i - 1) >> shift) + 1
        out[target] = out.get(target, 0.0) + c
    return out
