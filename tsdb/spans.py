"""Spans: pieces of series, each with rising times, in the order they were written; and how they become one.

A block gives one span per series and row group, the head one per series. Of equal times the last written wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from obs.tsdb.compiled import kernels, read_only
from obs.tsdb.growing import ranges
from obs.tsdb.sorting import sort_rows_plainly

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spans:
    """Span k is rows starts[k]:stops[k] of `t_ms` and `values`, of series ordinals[k]."""

    ordinals: I64
    starts: I64
    stops: I64
    t_ms: I64
    values: F64


@dataclass(frozen=True, slots=True)
class Merged:
    """Rows of series one after the other; series s has counts[s] of them."""

    t_ms: I64
    values: F64
    counts: I64


def take(parts: Sequence[Spans], start_ms: int, end_ms: int) -> Spans:
    """The rows of the spans of all parts in start..end (inclusive), copied one after the other."""
    fast = kernels()
    if fast is None:
        return join([take_plainly(part, start_ms, end_ms) for part in parts])
    starts, stops = np.concatenate([p.starts for p in parts]), np.concatenate([p.stops for p in parts])
    columns = [(read_only(p.t_ms), read_only(p.values.view(np.int64))) for p in parts]
    bounds = list(pairwise([0, *accumulate(len(p.starts) for p in parts)]))
    for (times, _), (a, b) in zip(columns, bounds, strict=True):
        fast.clip_spans(times, starts[a:b], stops[a:b], start_ms, end_ms)
    ends = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(stops - starts, out=ends[1:])
    t_ms, bits = np.empty(ends[-1], np.int64), np.empty(ends[-1], np.int64)
    for (times, from_bits), (a, b) in zip(columns, bounds, strict=True):
        first, last = int(ends[a]), int(ends[b])
        if first < last:
            fast.copy_spans(times, from_bits, starts[a:b], stops[a:b], t_ms[first:last], bits[first:last])
    ordinals = parts[0].ordinals if len(parts) == 1 else np.concatenate([p.ordinals for p in parts])
    return Spans(ordinals, ends[:-1], ends[1:], t_ms, bits.view(np.float64))


def take_plainly(spans: Spans, start_ms: int, end_ms: int) -> Spans:
    """The same with numpy alone."""
    sizes = spans.stops - spans.starts
    rows = ranges(spans.starts, sizes)
    t_ms = spans.t_ms[rows]
    inside = (t_ms >= start_ms) & (t_ms <= end_ms)
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(inside)])
    ends = kept[np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])]
    return Spans(spans.ordinals, ends[:-1], ends[1:], t_ms[inside], spans.values[rows[inside]])


def join(parts: Sequence[Spans]) -> Spans:
    """Spans of several sources, the earlier written first."""
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(len(p.t_ms) for p in parts[:-1])])
    return Spans(
        np.concatenate([p.ordinals for p in parts]),
        np.concatenate([p.starts + s for p, s in zip(parts, shifts, strict=True)]),
        np.concatenate([p.stops + s for p, s in zip(parts, shifts, strict=True)]),
        np.concatenate([p.t_ms for p in parts]),
        np.concatenate([p.values for p in parts]),
    )


def merge_plainly(spans: Spans, slots: I64, series: int, start_ms: int, end_ms: int) -> Merged:
    """One run of rows per series within start..end (inclusive), with numpy alone; slots[k] is the series of span k."""
    sizes = spans.stops - spans.starts
    rows = ranges(spans.starts, sizes)
    rank = np.repeat(slots, sizes).astype(np.int32)
    t_ms = spans.t_ms[rows]
    inside = (t_ms >= start_ms) & (t_ms <= end_ms)
    rows, rank, t_ms = rows[inside], rank[inside], t_ms[inside]
    order, counts = sort_rows_plainly(rank, t_ms, series)
    return Merged(t_ms[order], spans.values[rows[order]], counts)
