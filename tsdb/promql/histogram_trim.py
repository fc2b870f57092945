"""The operators `</` and `>/`: a native histogram without the observations above or below a value.

A bucket that the value cuts keeps the share that quantiles find there; the sum is worked out anew from the middles.
Source: https://prometheus.io/docs/prometheus/latest/querying/operators/ (histogram trim operators)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from obs.tsdb.promql.histogram import Bucket, Histogram
from obs.tsdb.promql.histogram_shape import share_below, zero_sided


def trim(h: Histogram, value: float, keep_below: bool) -> Histogram:
    """What is left of a histogram: observations up to `value`, or from it on."""
    if math.isnan(value):
        rest = math.nan if h.zero_count else 0.0  # what is left of a zero bucket is a share of it
        return replace(h, count=rest, sum=rest, zero_count=rest, positive={}, negative={})
    total = 0.0
    lost = False

    def kept(raw: Bucket) -> float:
        nonlocal total, lost
        b = zero_sided(h, raw)
        left = raw.n * _share(h, b, value, keep_below)
        lost = lost or left != raw.n
        low, high = (b.lower, min(b.upper, value)) if keep_below else (max(b.lower, value), b.upper)
        total += left * _middle(low, high, even=h.is_custom or b.lower <= 0 <= b.upper) if left else 0.0
        return left

    positive = _kept(h, h.positive, kept, mirrored=False)
    negative = _kept(h, h.negative, kept, mirrored=True)
    zero = kept(Bucket(-h.zero_threshold, h.zero_threshold, h.zero_count)) if h.zero_count else 0.0
    if not lost:
        return h
    count = math.fsum((zero, *positive.values(), *negative.values()))
    return replace(h, count=count, sum=total, zero_count=zero, positive=positive, negative=negative).compact()


def _kept(
    h: Histogram, counts: Mapping[int, float], kept: Callable[[Bucket], float], mirrored: bool
) -> dict[int, float]:
    out = {}
    for i, n in counts.items():
        lower, upper = (-h.upper(i), -h.lower(i)) if mirrored else (h.lower(i), h.upper(i))
        out[i] = kept(Bucket(lower, upper, n))
    return out


def _share(h: Histogram, b: Bucket, value: float, keep_below: bool) -> float:
    """How much of a bucket's observations stays."""
    if b.lower >= value:  # a zero bucket without breadth lies above its value
        return float(not keep_below)
    if b.upper <= value:
        return float(keep_below)
    if math.isinf(b.lower) and (math.isinf(b.upper) or value < 0 < b.upper):
        return 0.0  # no share of it can be told
    if keep_below:
        return share_below(h, b, value)
    even = h.is_custom or b.lower <= 0 <= b.upper
    if even and not math.isinf(b.lower):
        return 1.0 if math.isinf(b.upper) else (b.upper - value) / (b.upper - b.lower)
    return 1 - share_below(h, b, value)


def _middle(lower: float, upper: float, even: bool) -> float:
    """Where the observations of an interval are taken to lie, which are spread evenly or in the logarithm."""
    if math.isinf(lower):
        return upper / 2 if upper > 0 else upper
    if math.isinf(upper):
        return lower
    return (lower + upper) / 2 if even else math.copysign(math.sqrt(lower * upper), lower)
