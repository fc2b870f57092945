"""Start timestamps in windows: what began to be counted anew is a reset, though its value be higher than before.

Used only by queries that ask for it, over samples that have one. Numpy over all windows at once.
Source: prometheus.io/docs/prometheus/latest/feature_flags, "Start timestamp (ST) usage in PromQL functions".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.histogram_windows import range_node
from obs.tsdb.promql.plan import Call, RangeSelector, unwrap
from obs.tsdb.promql.values import F64, I64, Bool, Windows, metric_name
from obs.tsdb.starts import at_times


@dataclass(frozen=True, slots=True)
class Starts:
    """Of each sample of some windows: its start (0: unknown), whether it began anew, and whether it overlaps."""

    start_ms: I64
    anew: Bool
    overlaps: Bool


def starts_of(frame: Frame, call: Call, windows: Windows) -> Starts | None:
    """The starts of a selector's samples; None where they are not used or there are none."""
    source, inner = frame.query.starts, unwrap(range_node(call))
    if source is None or not isinstance(inner, RangeSelector) or not len(windows.t_ms):
        return None
    known = source.starts(windows.labels, int(windows.t_ms.min()), int(windows.t_ms.max()))
    if not known:
        return None
    start_ms = np.zeros(len(windows.t_ms), np.int64)
    for i, labels in enumerate(windows.labels):
        if labels in known:
            rows = slice(int(windows.offsets[i]), int(windows.offsets[i + 1]))
            start_ms[rows] = at_times(windows.t_ms[rows], *known[labels])
    return _compared(windows, start_ms)


def _compared(windows: Windows, start_ms: I64) -> Starts:
    """Each sample against the one before it."""
    t, start = windows.t_ms, start_ms
    t_before, before = np.roll(t, 1), np.roll(start, 1)
    first = np.zeros(len(t), np.bool_)
    first[windows.offsets[:-1][windows.offsets[:-1] < len(t)]] = True
    valid = (start != before) & (start != 0) & (start < t) & ~first
    # A start at the sample before is one of a delta, unless that sample's own start is unknown.
    delta = (start == t_before) & (before < t_before) & (before != 0)
    return Starts(start, valid & ((start > t_before) | delta), valid_overlap(start, before, t_before) & ~first)


def valid_overlap(start: I64, before: I64, t_before: I64) -> Bool:
    """Whether a sample claims to count what the one before it has counted already, from another start."""
    return np.asarray((start != 0) & (start < t_before) & (start != before), np.bool_)


def within(flags: Bool | F64, first: I64, stop: I64) -> F64:
    """The sum of flags (or of values) over rows first + 1 … stop - 1 of each window."""
    padded = np.append(flags.astype(np.float64), 0.0)
    low, high = np.minimum(first + 1, stop), stop
    pairs = np.stack([low.ravel(), high.ravel()], axis=1).ravel()
    sums = np.add.reduceat(padded, pairs)[::2].reshape(first.shape) if len(pairs) else np.zeros(first.shape)
    return np.where(high > low, sums, 0.0)


def increased(windows: Windows, starts: Starts, first: I64, stop: I64, is_rate: bool) -> tuple[F64, Bool]:
    """rate and increase of floats: resets are added back, and a start in the window stands for a zero there."""
    if not len(windows.t_ms):
        return np.zeros(first.shape), np.zeros(first.shape, np.bool_)
    values, before = windows.values, np.roll(windows.values, 1)
    lost = np.where((values < before) | starts.anew, before, 0.0)
    some = stop > first
    lo, hi = np.where(some, first, 0), np.where(some, stop - 1, 0)
    grown = values[hi] - values[lo] + within(lost, first, stop)
    covered, zero = coverage(windows, starts, np.broadcast_to(windows.ends, lo.shape), lo, hi, values[lo], grown)
    grown = np.where(zero, grown + values[lo], grown)
    present = some & ((stop - first > 1) | zero)
    return grown * covered / (windows.range_ms / 1000 if is_rate else 1.0), present


def coverage(
    windows: Windows, starts: Starts, right: I64, lo: I64, hi: I64, value: F64, grown: F64
) -> tuple[F64, Bool]:
    """What a counter's growth from row lo to row hi is to be multiplied by, and where it grew from zero at a start.

    `right`: where the windows end; `value`: the counter at row lo.
    """
    t = windows.t_ms
    left = right - windows.range_ms
    begun, gaps = starts.start_ms[lo], hi - lo
    zero = (begun != 0) & (begun > left) & (begun < t[lo])
    sampled = (t[hi] - np.where(zero, begun, t[lo])) / 1000
    average = np.where(gaps > 0, (t[hi] - t[lo]) / 1000 / np.maximum(gaps, 1), 0.0)
    before, after = (t[lo] - left) / 1000, (right - t[hi]) / 1000
    before = np.where(before >= average * 1.1, average / 2, before)
    with np.errstate(all="ignore"):
        to_zero = np.where((grown > 0) & (value >= 0), sampled * (value / grown), before)
    before = np.where(zero, 0.0, np.minimum(before, to_zero))
    after = np.where(after >= average * 1.1, average / 2, after)
    with np.errstate(all="ignore"):
        factor = np.where(sampled != 0, (sampled + before + after) / sampled, 1.0)
    return factor, np.asarray(zero, np.bool_)


def counted(frame: Frame, call: Call, windows: Windows, is_rate: bool) -> tuple[F64, Bool] | None:
    """rate and increase of floats by their starts; None where those are not used."""
    from obs.tsdb.promql.kernels_windows import rows_over_time

    starts = starts_of(frame, call, windows)
    if starts is None:
        return None
    first, stop = rows_over_time(windows.offsets, windows.t_ms, windows.ends, windows.range_ms)
    warn_overlaps(frame, call, windows, starts, first, stop)
    return increased(windows, starts, first, stop, is_rate)


def last_step(frame: Frame, call: Call, windows: Windows) -> tuple[F64, Bool] | None:
    """irate of floats by their starts; None where those are not used."""
    from obs.tsdb.promql.kernels_windows import rows_over_time

    starts = starts_of(frame, call, windows)
    if starts is None:
        return None
    first, stop = rows_over_time(windows.offsets, windows.t_ms, windows.ends, windows.range_ms)
    present = stop - first > 1
    now = np.where(present, stop - 1, 1 if len(windows.t_ms) > 1 else 0)
    values, t = windows.values, windows.t_ms
    anew = (values[now] < values[now - 1]) | starts.anew[now]
    with np.errstate(all="ignore"):
        rates = np.where(anew, values[now], values[now] - values[now - 1]) / ((t[now] - t[now - 1]) / 1000)
    return np.where(present, rates, 0.0), present


def further_resets(frame: Frame, call: Call, windows: Windows, first: I64, stop: I64) -> F64 | None:
    """How many resets of floats in each window only their starts tell of; None where those are not used."""
    starts = starts_of(frame, call, windows)
    if starts is None:
        return None
    return within(starts.anew & ~(windows.values < np.roll(windows.values, 1)), first, stop)


def warn_overlaps(frame: Frame, call: Call, windows: Windows, starts: Starts, first: I64, stop: I64) -> None:
    """Say of which metrics some window has samples that overlap."""
    overlapping = (within(starts.overlaps, first, stop) > 0) & (stop - first > 1)
    for series, count in enumerate(overlapping.sum(axis=1).tolist()):
        if count:
            frame.query.annotations.overlaps(range_node(call), metric_name(windows.labels[series]), count)
