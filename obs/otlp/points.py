"""One data point as samples: which series it has (`layout`) and their values (`values`), in the same order.

The layout depends only on what the kernels hash as a point's identity, so it is worked out once per series; a gauge
or sum has one series, a histogram one per bucket and `_count` and `_sum`, a summary one per quantile and those two.
"""

from __future__ import annotations

import math
import struct
from itertools import accumulate, pairwise
from typing import NamedTuple

from obs.otlp import reasons
from obs.otlp.limits import MAX_TIME_NS
from obs.otlp.messages import Message
from obs.otlp.values import float_text

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""Prometheus's staleness marker: the one NaN that says that a series has ended."""

NO_RECORDED_VALUE = 1
MIN_SCALE, MAX_SCALE = -10, 20
"""Scales the OpenTelemetry data model names as useful; beyond them bounds collapse or overflow."""


class Line(NamedTuple):
    """One series of a point: a suffix to the family's name, and a label of its own."""

    suffix: str = ""
    label: str = ""
    value: str = ""


def is_stale(point: Message) -> bool:
    """Whether the point says that there is no value."""
    return bool(point.flags & NO_RECORDED_VALUE)


def fault(point: Message) -> str | None:
    """Why a data point cannot be stored, if it cannot."""
    if point.time_unix_nano > MAX_TIME_NS:
        return reasons.TIME
    kind = point.DESCRIPTOR.name
    if kind == "NumberDataPoint":
        return None if is_stale(point) or point.WhichOneof("value") else reasons.NO_VALUE
    if kind == "HistogramDataPoint":
        return _histogram_fault(point)
    if kind == "ExponentialHistogramDataPoint":
        return None if MIN_SCALE <= point.scale <= MAX_SCALE else reasons.HISTOGRAM
    return None


def _histogram_fault(point: Message) -> str | None:
    limits, counts = point.explicit_bounds, point.bucket_counts
    if not all(map(math.isfinite, limits)) or any(a >= b for a, b in pairwise(limits)):
        return reasons.HISTOGRAM
    if is_stale(point):
        return None
    if len(counts) != len(limits) + 1 and (counts or limits):
        return reasons.HISTOGRAM
    return reasons.HISTOGRAM if counts and sum(counts) != point.count else None


def layout(point: Message) -> list[Line]:
    """The series of a point that has no fault."""
    kind = point.DESCRIPTOR.name
    if kind == "NumberDataPoint":
        return [Line()]
    if kind == "SummaryDataPoint":
        quantiles = [Line("", "quantile", float_text(q.quantile)) for q in point.quantile_values]
        return [*quantiles, Line("_count"), Line("_sum")]
    buckets = [Line("_bucket", "le", float_text(b)) for b in [*bounds(point), math.inf]]
    return [*buckets, Line("_count"), *([Line("_sum")] if point.HasField("sum") else [])]


def bounds(point: Message) -> list[float]:
    """The finite upper bounds of a histogram's buckets, rising; none for other points."""
    kind = point.DESCRIPTOR.name
    if kind == "HistogramDataPoint":
        return list(point.explicit_bounds)
    return [b for b, _ in exponential(point)] if kind == "ExponentialHistogramDataPoint" else []


def values(point: Message) -> list[float]:
    """The values of `layout`'s series."""
    if is_stale(point):
        return [STALE] * len(layout(point))
    kind = point.DESCRIPTOR.name
    if kind == "NumberDataPoint":
        return [float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)]
    count, total = float(point.count), point.sum
    if kind == "SummaryDataPoint":
        return [*(q.value for q in point.quantile_values), count, total]
    below = [float(c) for c in accumulate(point.bucket_counts[:-1])] if kind == "HistogramDataPoint" else None
    if below is None:
        below = [float(c) for _, c in exponential(point)]
    return [*below, count, count, *([total] if point.HasField("sum") else [])]


def exponential(point: Message) -> list[tuple[float, int]]:
    """(upper bound, cumulative count) of an exponential histogram's buckets, bounds rising, all finite.

    Bucket i holds (base**i, base**(i+1)] with base = 2**(2**-scale); negative ones mirror it. Where neighbouring
    bounds are the same float, they are one bucket.
    Source: OpenTelemetry metrics data model, "Exponential Scale", "Negative Buckets", "Zero Threshold".
    """
    below: dict[float, int] = {}
    seen = 0
    for index, count in reversed(list(enumerate(point.negative.bucket_counts, point.negative.offset))):
        seen += count
        below[-_power(index, point.scale)] = seen
    seen += point.zero_count
    below[point.zero_threshold] = seen
    for index, count in enumerate(point.positive.bucket_counts, point.positive.offset):
        seen += count
        below[_power(index + 1, point.scale)] = seen
    return [(b, c) for b, c in sorted(below.items()) if math.isfinite(b)]


def _power(index: int, scale: int) -> float:
    try:
        return float(2.0 ** math.ldexp(index, -scale))
    except OverflowError:
        return math.inf


def timestamp_ms(point: Message) -> int:
    """A point's time in milliseconds."""
    return int(point.time_unix_nano) // 1_000_000
