"""One data point as samples: which series it has (`layout`) and their values (`values`), in the same order.

The layout depends only on what the kernels hash as a point's identity, so it is worked out once per series; a gauge
or sum has one series, a histogram one per bucket and `_count` and `_sum`, a summary one per quantile and those two.
An exponential histogram is a native one: one series, its count as value, its buckets in a row of their own (`native`);
where that cannot be, because it is too coarse, it is an ordinary histogram.
"""

from __future__ import annotations

import math
import sys
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from obs.model.stale import STALE
from obs.otlp import reasons
from obs.otlp.limits import MAX_TIME_NS
from obs.otlp.messages import Message
from obs.otlp.values import float_text

NO_RECORDED_VALUE = 1
MIN_SCALE, MAX_SCALE = -10, 20
"""Scales the OpenTelemetry data model names as useful; beyond them bounds collapse or overflow."""

LEAST_POWER = -1075
"""The power of two below the least double, as `sys.float_info.max_exp` is the one above the largest."""

NATIVE_SCALES = (-4, 8)
"""Resolutions of native histograms; finer ones are made coarser."""


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
        return _exponential_fault(point)
    return None


def _exponential_fault(point: Message) -> str | None:
    """Buckets where no double is are refused: all between the first and the last would be counted."""
    if not (MIN_SCALE <= point.scale <= MAX_SCALE and 0 <= point.zero_threshold < math.inf):
        return reasons.HISTOGRAM
    for side in (point.positive, point.negative):
        last = side.offset + len(side.bucket_counts) - 1
        if side.bucket_counts and not (
            math.ldexp(side.offset + 1, -point.scale) > LEAST_POWER
            and math.ldexp(last, -point.scale) < sys.float_info.max_exp
        ):
            return reasons.HISTOGRAM
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


def is_native(point: Message) -> bool:
    """Whether a point without fault is kept as a native histogram."""
    kind = point.DESCRIPTOR.name
    return bool(kind == "ExponentialHistogramDataPoint" and point.scale >= NATIVE_SCALES[0])


def layout(point: Message) -> list[Line]:
    """The series of a point that has no fault."""
    kind = point.DESCRIPTOR.name
    if kind == "NumberDataPoint" or is_native(point):
        return [Line()]
    if kind == "SummaryDataPoint":
        quantiles = [Line("", "quantile", float_text(q.quantile)) for q in point.quantile_values]
        return [*quantiles, Line("_count"), Line("_sum")]
    buckets = [Line("_bucket", "le", float_text(b)) for b in [*bounds(point), math.inf]]
    return [*buckets, Line("_count"), *([Line("_sum")] if point.HasField("sum") else [])]


def bounds(point: Message) -> list[float]:
    """The finite upper bounds of the buckets that have series, rising; none for other points."""
    kind = point.DESCRIPTOR.name
    if kind == "HistogramDataPoint":
        return list(point.explicit_bounds)
    if is_native(point):
        return []
    return [b for b, _ in exponential(point)] if kind == "ExponentialHistogramDataPoint" else []


def values(point: Message) -> list[float]:
    """The values of `layout`'s series."""
    if is_stale(point):
        return [STALE] * len(layout(point))
    if is_native(point):
        return [float(point.count)]
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


def native(point: Message) -> tuple[Any, ...] | None:
    """What `HISTOGRAMS` has of a native histogram after series and time, at a resolution that Prometheus knows.

    None of a point that is none, or has no value.
    Source: prometheus.io/docs/specs/native_histograms, "OTLP": OTLP's bucket i is Prometheus's i + 1.
    """
    if not is_native(point) or is_stale(point):
        return None
    shift = max(0, point.scale - NATIVE_SCALES[1])
    return (
        point.scale - shift, float(point.count), point.sum, point.zero_threshold, float(point.zero_count),
        *_coarser(point.positive, shift), *_coarser(point.negative, shift), None, 0,
    )  # fmt: skip


def _coarser(buckets: Message, shift: int) -> tuple[int, list[float]]:
    """Prometheus's index of the first bucket, and the counts, each bucket made of 2**shift."""
    counts: dict[int, float] = {}
    for index, count in enumerate(buckets.bucket_counts, buckets.offset):
        counts[(index >> shift) + 1] = counts.get((index >> shift) + 1, 0.0) + count
    return min(counts, default=0), list(counts.values())


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


def start_ns(point: Message) -> int:
    """When what a point counts began to be counted; 0: it does not say, or it is out of range."""
    found = int(point.start_time_unix_nano)
    return found if found <= MAX_TIME_NS else 0
