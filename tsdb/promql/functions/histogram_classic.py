"""Quantiles and fractions of classic buckets: series that differ in `le` alone are one histogram.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from obs.model.labels import Labels
from obs.tsdb.promql.annotations import go_quote, maybe_of
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.plan import Node
from obs.tsdb.promql.values import F64, I64, Vector, metric_name, without

BUCKET_LABEL = "le"

OfBuckets = Callable[[F64, F64, int, str], float]
"""(upper bounds, cumulative counts, step, metric name) → a value."""


class Buckets(NamedTuple):
    """One classic histogram: its bucket rows by rising upper bound."""

    labels: Labels  # without le; the metric name is still there
    rows: I64
    bounds: F64


def grouped(frame: Frame, node: Node, vector: Vector) -> list[Buckets]:
    """The histograms of a vector; series whose `le` is no number are left out with a warning."""
    members: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        le = next((v for k, v in labels if k == BUCKET_LABEL), "")
        bound = parse_bound(le)
        if bound is None:
            text = f'bucket label "le" is missing or has a malformed value of {go_quote(le)}'
            frame.query.annotations.warn(node, f"{text}{maybe_of(metric_name(labels))}")
            continue
        members.setdefault(without(labels, (BUCKET_LABEL,)), []).append((bound, row))
    found = []
    for labels, pairs in members.items():
        pairs.sort()
        found.append(Buckets(labels, np.array([r for _, r in pairs]), np.array([b for b, _ in pairs])))
    return found


def parse_bound(text: str) -> float | None:
    """The value of an `le` label as Go's ParseFloat reads it."""
    try:
        if not text or text != text.strip():
            return None
        return float(text.replace("_", "x"))
    except ValueError:
        return None


def check_quantiles(frame: Frame, node: Node, q: F64) -> None:
    """A warning for quantiles outside 0…1."""
    for value in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]).tolist():
        message = f"quantile value should be between 0 and 1, got {go_general(value)}"
        frame.query.annotations.warn(node, message)


def each(frame: Frame, node: Node, vector: Vector, one: OfBuckets) -> Vector:
    """`one(bounds, cumulative counts, step, name)` for each classic histogram and each step where it has buckets."""
    floats = vector.only_floats().compact()
    histograms = grouped(frame, node, floats)
    shape = (len(histograms), frame.steps.count)
    values, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for i, h in enumerate(histograms):
        there = floats.present[h.rows]
        name = metric_name(h.labels)
        for step in np.flatnonzero(there.any(axis=0)).tolist():
            at = there[:, step]
            values[i, step] = one(h.bounds[at], floats.values[h.rows[at], step], step, name)
            present[i, step] = True
    return Vector([h.labels for h in histograms], values, present, np.ones(len(histograms), np.bool_))


def bucket_quantile(q: float, bounds: F64, counts: F64) -> tuple[float, tuple[float, float, float] | None]:
    """The quantile, and where counts fell the (lowest bound, highest bound, largest fall) that was repaired."""
    if math.isnan(q):
        return math.nan, None
    if q < 0:
        return -math.inf, None
    if q > 1:
        return math.inf, None
    if len(bounds) == 0 or not (math.isinf(bounds[-1]) and bounds[-1] > 0):
        return math.nan, None
    bounds, counts = coalesce(bounds, counts)
    counts, fixed = rising(bounds, counts)
    if len(bounds) < 2:
        return math.nan, fixed
    total = counts[-1]
    if total == 0:
        return math.nan, fixed
    rank = q * total
    # A rank that is NaN is past all buckets, so that the quantile is the last bound that is a number.
    b = len(counts) - 1 if math.isnan(rank) else int(np.searchsorted(counts[:-1], rank, side="left"))
    if b == len(counts) - 1:
        return float(bounds[-2]), fixed
    if b == 0 and bounds[0] <= 0:
        return float(bounds[0]), fixed
    start, count, end = 0.0, counts[b], bounds[b]
    if b > 0:
        start = bounds[b - 1]
        count -= counts[b - 1]
        rank -= counts[b - 1]
    return float(start + (end - start) * (rank / count)), fixed


def coalesce(bounds: F64, counts: F64) -> tuple[F64, F64]:
    """Buckets of equal bounds added up (bounds rise)."""
    kept, at = np.unique(bounds, return_inverse=True)
    if len(kept) == len(bounds):
        return bounds, counts
    total = np.zeros(len(kept))
    np.add.at(total, at, counts)
    return kept, total


SMALL_FALL = 1e-12
"""Falls of this share of the count are rounding of earlier arithmetic, and repaired without a word."""


def rising(bounds: F64, counts: F64) -> tuple[F64, tuple[float, float, float] | None]:
    """Counts made to rise, and what was repaired where it was more than rounding."""
    if not bool((np.diff(counts) < 0).any()):
        if not bool((np.diff(counts) > 0).any()):
            return counts, None
        tiny = np.diff(counts) <= SMALL_FALL * np.abs(counts[1:])
        if not bool((tiny & (np.diff(counts) != 0)).any()):
            return counts, None
    out, fixed, prev = counts.copy(), None, float(counts[0])
    low, high, worst = math.inf, -math.inf, 0.0
    for i in range(1, len(out)):
        now = float(out[i])
        if now == prev:
            continue
        if _almost(prev, now):
            out[i] = prev
            continue
        if now < prev:
            out[i] = prev
            low, high, worst = min(low, float(bounds[i])), max(high, float(bounds[i])), max(worst, prev - now)
            fixed = (low, high, worst)
            continue
        prev = now
    return out, fixed


def _almost(a: float, b: float) -> bool:
    if a == b:
        return True
    total = abs(a) + abs(b)
    if a == 0 or b == 0 or total < 2.2250738585072014e-308:
        return abs(a - b) < SMALL_FALL * 2.2250738585072014e-308
    return abs(a - b) / min(total, 1.7976931348623157e308) < SMALL_FALL


def bucket_fraction(lower: float, upper: float, bounds: F64, counts: F64) -> float:
    """The share of a classic histogram's observations in [lower, upper], linear inside a bucket."""
    if len(bounds) == 0 or not (math.isinf(bounds[-1]) and bounds[-1] > 0):
        return math.nan
    bounds, counts = coalesce(bounds, counts)
    count = counts[-1]
    if count == 0 or math.isnan(count) or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return float((_rank(upper, bounds, counts) - _rank(lower, bounds, counts)) / count)


def _rank(value: float, bounds: F64, counts: F64) -> float:
    """How many observations are at most `value`."""
    i = int(np.searchsorted(bounds, value, side="left"))
    if i >= len(bounds):
        return float(counts[-1])
    if bounds[i] == value:
        return float(counts[i])
    before = float(counts[i - 1]) if i else 0.0
    left = float(bounds[i - 1]) if i else (0.0 if bounds[0] > 0 else -math.inf)
    if value <= left:
        return before
    if math.isinf(left):  # no share of an infinitely wide bucket can be told: it counts whole
        return float(counts[i])
    if math.isinf(bounds[i]):
        return before
    return before + (float(counts[i]) - before) * (value - left) / (float(bounds[i]) - left)
