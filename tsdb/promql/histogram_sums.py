"""Adding and subtracting native histograms of different layouts, and telling whether a counter was reset.

Zero buckets grow to the larger threshold, schemas fall to the coarser one, custom bounds to those in common.
Source: https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from obs.tsdb.promql.histogram import GAUGE, NOT_RESET, RESET, UNKNOWN, Histogram


class Incompatible(Exception):
    """One histogram has custom buckets and the other exponential ones."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum or difference, and what is to be said of it."""

    value: Histogram
    hints_collide: bool = False
    reconciled: bool = False  # custom bounds differed


def add(a: Histogram, b: Histogram, sign: float = 1.0) -> Sum:
    """a + sign * b. Raises: Incompatible."""
    if a.is_custom != b.is_custom:
        raise Incompatible
    hint, collide = _hint(a.hint, b.hint)
    reconciled = False
    if a.is_custom:
        a, b, reconciled = _common_bounds(a, b)
    else:
        schema = min(a.schema, b.schema)
        a, b = a.to_schema(schema), b.to_schema(schema)
        a, b = _common_zero(a, b)
    return Sum(_added(a, b, sign, hint), collide, reconciled)


class Total:
    """Histograms added up at the end, each number without loss in between. Like `add` it reconciles layouts."""

    def __init__(self, first: Histogram) -> None:
        self._sum = first  # its layout and hint are right, its numbers are not
        self._parts = [first]
        self._hints = {first.hint}

    def add(self, h: Histogram) -> Sum:
        """What is to be said of one more; its value is of no use. Raises: Incompatible."""
        outcome = add(self._sum, h)
        self._sum = outcome.value
        self._parts.append(h)
        self._hints.add(h.hint)
        return outcome

    @property
    def hints_collide(self) -> bool:
        """Whether some began anew while others went on."""
        return {RESET, NOT_RESET} <= self._hints

    def sum(self) -> Histogram:
        """The sum of all."""
        return self._folded(exact_sum) if len(self._parts) > 1 else self._sum

    def mean(self) -> Histogram:
        """The mean of all, which is finite where its sum need not be."""
        return self._folded(exact_mean) if len(self._parts) > 1 else self._sum

    def _folded(self, fold: Callable[[Sequence[float]], float]) -> Histogram:
        parts = [_laid_out(h, self._sum) for h in self._parts]
        return replace(
            self._sum,
            hint=self._hint(),
            count=fold([h.count for h in parts]),
            sum=fold([h.sum for h in parts]),
            zero_count=fold([h.zero_count for h in parts]),
            positive={i: fold([h.positive.get(i, 0.0) for h in parts]) for i in self._sum.positive},
            negative={i: fold([h.negative.get(i, 0.0) for h in parts]) for i in self._sum.negative},
        )

    def _hint(self) -> str:
        if GAUGE in self._hints:
            return GAUGE
        return next(iter(self._hints)) if len(self._hints) == 1 else UNKNOWN


def _laid_out(h: Histogram, like: Histogram) -> Histogram:
    """In the layout of a sum that it is part of."""
    if h.is_custom:
        return h if h.custom_values == like.custom_values else with_bounds(h, like.custom_values)
    return with_zero(h.to_schema(like.schema), like.zero_threshold)


def exact_sum(values: Sequence[float]) -> float:
    """The double nearest to the sum; what infinities and NaN add up to."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def exact_mean(values: Sequence[float]) -> float:
    """The mean, also where the sum is no double."""
    total = exact_sum(values)
    if math.isfinite(total) or not all(map(math.isfinite, values)):
        return total / len(values)
    return math.ldexp(math.fsum(math.ldexp(v, -64) for v in values) / len(values), 64)


def _added(a: Histogram, b: Histogram, sign: float, hint: str) -> Histogram:
    return replace(
        a,
        count=a.count + sign * b.count,
        sum=a.sum + sign * b.sum,
        zero_count=a.zero_count + sign * b.zero_count,
        positive=_merged(a.positive, b.positive, sign),
        negative=_merged(a.negative, b.negative, sign),
        hint=hint,
    )


def _merged(a: Mapping[int, float], b: Mapping[int, float], sign: float) -> dict[int, float]:
    out = dict(a)
    for i, c in b.items():
        out[i] = out.get(i, 0.0) + sign * c
    return out


def _hint(a: str, b: str) -> tuple[str, bool]:
    if a == b:
        return a, False
    if GAUGE in (a, b):
        return GAUGE, False
    return UNKNOWN, UNKNOWN not in (a, b)


def _common_bounds(a: Histogram, b: Histogram) -> tuple[Histogram, Histogram, bool]:
    if a.custom_values == b.custom_values:
        return a, b, False
    shared = set(b.custom_values)
    bounds = tuple(v for v in a.custom_values if v in shared)
    return with_bounds(a, bounds), with_bounds(b, bounds), True


def with_bounds(h: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """A custom histogram on a subset of its bounds."""
    counts: dict[int, float] = {}
    for i, c in h.positive.items():
        upper = h.upper(i)
        target = next((k for k, v in enumerate(bounds) if v >= upper), len(bounds))
        counts[target] = counts.get(target, 0.0) + c
    return replace(h, positive=counts, custom_values=bounds)


def _common_zero(a: Histogram, b: Histogram) -> tuple[Histogram, Histogram]:
    while a.zero_threshold != b.zero_threshold:
        if a.zero_threshold > b.zero_threshold:
            b = with_zero(b, a.zero_threshold)
        else:
            a = with_zero(a, b.zero_threshold)
    return a, b


def with_zero(h: Histogram, threshold: float) -> Histogram:
    """With a larger zero bucket; it grows on to the end of a filled bucket that it would cut."""
    if threshold == h.zero_threshold:
        return h
    while True:
        count, wider = _zero_count(h, threshold)
        if wider == threshold:
            break
        threshold = wider
    positive = {i: c for i, c in h.positive.items() if h.lower(i) >= threshold}
    negative = {i: c for i, c in h.negative.items() if h.lower(i) >= threshold}
    return replace(h, zero_threshold=threshold, zero_count=count, positive=positive, negative=negative)


def _zero_count(h: Histogram, threshold: float) -> tuple[float, float]:
    count, wider = h.zero_count, threshold
    for counts in (h.positive, h.negative):
        for i, c in counts.items():
            if h.lower(i) < threshold:
                count += c
                if h.upper(i) > threshold and c != 0:
                    wider = max(wider, h.upper(i))
    return count, wider


def detect_reset(now: Histogram, before: Histogram) -> bool:
    """Whether a counter histogram began anew between two samples."""
    if now.hint in (RESET, NOT_RESET):
        return now.hint == RESET
    if now.count < before.count or now.is_custom != before.is_custom:
        return True
    if now.is_custom:
        if now.custom_values != before.custom_values:
            now, before, _ = _common_bounds(now, before)
        return _falls(now.positive, before.positive)
    if now.schema > before.schema or now.zero_threshold < before.zero_threshold:
        return True
    before = before.to_schema(now.schema)
    widened = with_zero(before, now.zero_threshold)
    if widened.zero_threshold != now.zero_threshold or now.zero_count < widened.zero_count:
        return True
    return _falls(now.positive, widened.positive) or _falls(now.negative, widened.negative)


def _falls(now: Mapping[int, float], before: Mapping[int, float]) -> bool:
    return any(now.get(i, 0.0) < c for i, c in before.items())
