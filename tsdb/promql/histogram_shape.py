"""What a native histogram says of its observations: quantiles, fractions, deviation.

Inside a bucket observations are spread evenly in the logarithm, in custom and zero buckets evenly in the value.
Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

from __future__ import annotations

import math

from obs.tsdb.promql.histogram import Bucket, Histogram
from obs.tsdb.promql.histogram_sums import exact_sum


def zero_sided(h: Histogram, b: Bucket) -> Bucket:
    """A zero bucket reaches to 0 only, where all other observations are on one side."""
    if h.is_custom or not (b.lower <= 0 <= b.upper):
        return b
    if not h.negative and h.positive:
        return b._replace(lower=0.0)
    if not h.positive and h.negative:
        return b._replace(upper=0.0)
    return b


def quantile(h: Histogram, q: float) -> float:
    """The q-quantile; NaN where observations of NaN stand in the way."""
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    if h.count == 0 or math.isnan(q):
        return math.nan
    # From the nearer end, as rounding adds up; NaN observations are in no bucket, so then only from below.
    forward = math.isnan(h.sum) or q < 0.5
    buckets = h.buckets() if forward else h.buckets()[::-1]
    rank = (q if forward else 1 - q) * h.count
    bucket, count = Bucket(0.0, 0.0, 0.0), 0.0
    for candidate in buckets:
        if candidate.n == 0:
            continue
        bucket = candidate
        count += bucket.n
        if count >= rank:
            break
    if h.is_custom and math.isinf(bucket.lower):
        if bucket.upper <= 0:
            return bucket.upper
        bucket = bucket._replace(lower=0.0)
    elif h.is_custom and math.isinf(bucket.upper):
        return bucket.lower
    bucket = zero_sided(h, bucket)
    count = min(count, h.count)
    if count < rank:
        return math.nan if math.isnan(h.sum) else bucket.upper
    rank = rank - (count - bucket.n) if forward else count - rank
    return _inside(h, bucket, rank / bucket.n if bucket.n else math.nan)


def _inside(h: Histogram, b: Bucket, fraction: float) -> float:
    if h.is_custom or b.lower <= 0 <= b.upper:
        return b.lower + (b.upper - b.lower) * fraction
    low, high = math.log2(abs(b.lower)), math.log2(abs(b.upper))
    if b.lower > 0:
        return 2 ** (low + (high - low) * fraction)
    return -(2 ** (high + (low - high) * (1 - fraction)))


def fraction(h: Histogram, lower: float, upper: float) -> float:
    """The share of observations between two values."""
    if h.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank(h, upper) - _rank(h, lower)) / h.count


def _rank(h: Histogram, value: float) -> float:
    """How many observations are below a value."""
    if math.isinf(value) and value < 0:
        return 0.0
    rank = 0.0
    for raw in h.buckets():
        b = zero_sided(h, raw)
        if b.lower >= value:
            return min(rank, h.count)
        if b.upper > value:
            return min(rank + b.n * share_below(h, b, value), h.count)
        rank += b.n
    # Observations of NaN are counted but in no bucket; they lie above every value.
    return rank if math.isnan(h.sum) else h.count


def share_below(h: Histogram, b: Bucket, value: float) -> float:
    """The share of a bucket's observations below a value inside it."""
    if h.is_custom or b.lower <= 0 <= b.upper:
        if math.isinf(b.lower):
            if b.upper <= 0:  # no share of an infinitely wide bucket can be told: it counts whole
                return 1.0
            return max(0.0, value / b.upper) if value > 0 else 0.0
        return (value - b.lower) / (b.upper - b.lower)
    low, high, at = (math.log2(abs(x)) for x in (b.lower, b.upper, value))
    return (at - low) / (high - low) if b.upper > 0 else 1 - (at - high) / (low - high)


def variance(h: Histogram) -> float:
    """The variance around the mean, every observation taken at its bucket's middle."""
    if h.count == 0:
        return math.nan
    mean = h.sum / h.count
    apart = ((b.n, _middle(h, b) - mean) for b in h.buckets() if b.n != 0)
    return exact_sum([n * d * d for n, d in apart]) / h.count


def _middle(h: Histogram, b: Bucket) -> float:
    if h.is_custom:
        return (b.upper + b.lower) / 2
    if b.lower <= 0 <= b.upper:
        return 0.0
    middle = math.sqrt(b.upper * b.lower)
    return -middle if b.upper < 0 else middle
