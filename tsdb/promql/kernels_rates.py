"""rate, increase and delta over sliding windows, of series one after the other or where their samples lie.

Shapes and windows as in `kernels.py`. What times alone decide of a window is worked out again only where it differs
from the window before: most series are sampled at even gaps, and a step is mostly as many samples on as the last.
Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
"""

from __future__ import annotations

import numpy as np
from numba import njit

from obs.tsdb.kernels_laid import longest, merged
from obs.tsdb.promql.kernels import F64, I64, STALE_BITS, Bool


@njit(nogil=True, cache=True)
def _reach(gap_ms: int, sampled_ms: int, gaps: int) -> float:
    """How far past its outermost sample a series is taken to go on: to the window's edge, unless that is far away."""
    if gap_ms * gaps < sampled_ms:  # nearer than samples are to each other: spare the division
        return float(gap_ms)
    average = sampled_ms / 1000 / gaps
    return average * 500 if gap_ms / 1000 >= average * 1.1 else float(gap_ms)


@njit(nogil=True, cache=True)
def extrapolation(
    first_ms: int, last_ms: int, gaps: int, left_ms: int, right_ms: int, first: float, result: float, is_counter: bool
) -> float:
    """Milliseconds that the difference between the first and last sample stands for, grown to cover the window."""
    sampled = last_ms - first_ms
    to_start = _reach(first_ms - left_ms, sampled, gaps)
    if is_counter and result > 0 and first >= 0 and sampled * first < to_start * result:
        to_start = sampled * (first / result)  # a counter was zero at the earliest; never extrapolate past that
    return sampled + to_start + _reach(right_ms - last_ms, sampled, gaps)


@njit(nogil=True, cache=True)
def _past(t_ms: I64, row: int, hop: int, bound: int) -> int:
    """The first row at or after `row` whose time is past `bound`; looked at first is the one `hop` rows on."""
    stop = len(t_ms)
    there = row + hop
    if there <= stop and (there == stop or t_ms[there] > bound) and (there == 0 or t_ms[there - 1] <= bound):
        return there
    while row < stop and t_ms[row] <= bound:
        row += 1
    return row


@njit(nogil=True, cache=True)
def _falls(values: F64, rows: I64) -> int:
    """Write the rows that are below the one before them; returns how many are."""
    found = 0
    for i in range(1, len(values)):
        found += values[i] < values[i - 1]
    if found:
        at = 0
        for i in range(1, len(values)):
            if values[i] < values[i - 1]:
                rows[at] = i
                at += 1
    return found


@njit(nogil=True, cache=True)
def _series(
    t_ms: I64, values: F64, ends: I64, range_ms: int, is_counter: bool, per: float, falls: I64, out: F64, present: Bool
) -> None:
    """One series; `falls` has room for its rows."""
    count = _falls(values, falls) if is_counter else 0
    lo = hi = lo_hop = hi_hop = seen = 0
    to_first = to_last = gaps = -1
    before = after = length = factor = 0.0
    for step in range(len(ends)):
        right = ends[step]
        left = right - range_ms
        now = _past(t_ms, lo, lo_hop, left)
        lo, lo_hop = now, now - lo
        now = _past(t_ms, hi, hi_hop, right)
        hi, hi_hop = now, now - hi
        if hi - lo < 2:
            continue
        first = values[lo]
        result = values[hi - 1] - first
        while seen < count and falls[seen] < hi:
            seen += 1
        at = seen
        while at and falls[at - 1] > lo:
            at -= 1
        for k in range(at, seen):  # a counter that fell was reset: what it had is added back
            result += values[falls[k] - 1]
        first_ms, last_ms = t_ms[lo], t_ms[hi - 1]
        sampled = last_ms - first_ms
        if first_ms - left != to_first or right - last_ms != to_last or hi - 1 - lo != gaps:
            to_first, to_last, gaps = first_ms - left, right - last_ms, hi - 1 - lo
            before, after = _reach(to_first, sampled, gaps), _reach(to_last, sampled, gaps)
            length = sampled * per
            factor = (sampled + before + after) / length
        if is_counter and result > 0 and first >= 0 and sampled * first < before * result:
            before_zero = sampled * (first / result)  # as in `extrapolation`
            out[step] = result * ((sampled + before_zero + after) / length)
        else:
            out[step] = result * factor
        present[step] = True


@njit(nogil=True, cache=True)
def extrapolated(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, is_counter: bool, is_rate: bool
) -> tuple[F64, Bool]:
    """rate, increase (counters: resets are added back) and delta."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    per = range_ms / 1000 if is_rate else 1.0
    falls = np.empty(np.diff(offsets).max() if shape[0] else 0, np.int64)
    for s in range(shape[0]):
        a, b = offsets[s], offsets[s + 1]
        _series(t_ms[a:b], values[a:b], ends, range_ms, is_counter, per, falls, out[s], present[s])
    return out, present


@njit(nogil=True, cache=True)
def _live(t_ms: I64, bits: I64, rows: int) -> int:
    """Take stale markers out of the first rows, in place; returns how many are left."""
    stale = 0
    for i in range(rows):
        stale += bits[i] == STALE_BITS
    if not stale:
        return rows
    left = 0
    for i in range(rows):
        if bits[i] != STALE_BITS:
            t_ms[left], bits[left] = t_ms[i], bits[i]
            left += 1
    return left


@njit(nogil=True, cache=True)
def extrapolated_where_laid(
    times: I64, values: I64, lengths: I64, first: I64, ends: I64, range_ms: int, is_counter: bool, is_rate: bool
) -> tuple[F64, Bool, I64]:
    """The same of series in pieces (see `obs.tsdb.kernels_laid`), and how many rows each has."""
    shape = (len(first) - 1, len(ends))
    out, present, counts = np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(shape[0], np.int64)
    per = range_ms / 1000 if is_rate else 1.0
    room = longest(lengths, first)
    t_ms, bits, falls = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    floats = bits.view(np.float64)
    for s in range(shape[0]):
        counts[s] = merged(times, values, lengths, first[s], first[s + 1], t_ms, bits)
        rows = _live(t_ms, bits, counts[s])
        _series(t_ms[:rows], floats[:rows], ends, range_ms, is_counter, per, falls, out[s], present[s])
    return out, present, counts


def warm() -> None:
    """Compile what a source in memory does not call."""
    t_ms, values, lengths = np.array([1, 2]), np.array([1.0, 2.5]), np.array([2])
    places = np.array([t_ms.ctypes.data]), np.array([values.ctypes.data])
    extrapolated_where_laid(*places, lengths, np.array([0, 1]), np.array([2]), 5, True, True)
