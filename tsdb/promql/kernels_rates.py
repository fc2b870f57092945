"""rate, increase and delta over sliding windows, of series one after the other or where their samples lie.

Shapes and windows as in `kernels.py`; steps are evenly apart. What times alone decide of a window is worked out again
only where it differs from the window before: most series are sampled at even gaps, and a step is mostly as many samples
on as the last. Where that is so throughout, as with a step of a minute over samples 15 s apart, it is worked out once.
Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
"""

from __future__ import annotations

import numpy as np
from numba import njit

from obs.tsdb.kernels import bound
from obs.tsdb.kernels_laid import at_address, longest, merged
from obs.tsdb.promql.kernels import F64, I64, STALE_BITS, Bool

FEW_FALLS = 16
"""A counter that falls at most once in so many samples is worked out as if it did not, and some windows then anew."""


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
def _grown(
    t_ms: I64, values: F64, ends: I64, range_ms: int, is_counter: bool, per: float, falls: I64, out: F64, present: Bool
) -> None:
    """One series at any steps; `falls`: the rows that are below the one before them."""
    count = len(falls)
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
        present[step] = hi - lo >= 2
        if hi - lo < 2:
            out[step] = 0.0
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


@njit(nogil=True, cache=True)
def _even_gap(t_ms: I64) -> int:
    """The gap between any two neighbours, 0 where it is not always the same."""
    if len(t_ms) < 2:
        return 0
    gap = t_ms[1] - t_ms[0]
    others = 0
    for i in range(1, len(t_ms) - 1):
        others += t_ms[i + 1] - t_ms[i] != gap
    return 0 if others else gap


@njit(nogil=True, cache=True)
def _evenly(
    begin_ms: int, gap: int, values: F64, ends: I64, range_ms: int, is_counter: bool, per: float, out: F64
) -> tuple[int, int]:
    """What `_grown` works out of samples `gap` apart and without falls, at steps that are a multiple of that apart.

    Only at steps whose window lies within the samples, but for less than a gap on either side: all of these are alike.
    Returns the first of them, and the one behind the last.
    """
    step_ms = ends[1] - ends[0]
    first_end, stop_end = begin_ms - gap + range_ms, begin_ms + len(values) * gap
    a = min(max(-((ends[0] - first_end) // step_ms), 0), len(ends))
    b = min(max(-((ends[0] - stop_end) // step_ms), a), len(ends))
    if a == b:
        return a, a
    left, hop = ends[a] - range_ms, step_ms // gap
    lo, hi = (left - begin_ms) // gap + 1, (ends[a] - begin_ms) // gap + 1
    gaps = hi - 1 - lo
    if gaps < 1:
        return a, a
    sampled = gaps * gap
    before = _reach(begin_ms + lo * gap - left, sampled, gaps)
    after = _reach(ends[a] - begin_ms - (hi - 1) * gap, sampled, gaps)
    length = sampled * per
    factor = (sampled + before + after) / length
    for step in range(b - a):
        first = values[lo + step * hop]
        result = values[hi - 1 + step * hop] - first
        grown = result * factor
        if is_counter and result > 0 and first >= 0 and sampled * first < before * result:
            grown = result * ((sampled + sampled * (first / result) + after) / length)
        out[a + step] = grown
    return a, b


@njit(nogil=True, cache=True)
def _again(
    t_ms: I64, values: F64, ends: I64, a: int, b: int, range_ms: int, per: float, falls: I64, out: F64, present: Bool
) -> None:
    """Work out anew those of steps a:b in whose windows a counter fell."""
    done = a
    step_ms = ends[1] - ends[0]
    for k in range(len(falls)):
        fell_ms = t_ms[falls[k]]
        first = max(done, a - (ends[a] - fell_ms) // step_ms)
        stop = min(b, a - (ends[a] - fell_ms - range_ms) // step_ms)
        if first < stop:
            row = bound(t_ms, 0, len(t_ms), ends[first] - range_ms)
            last = bound(t_ms, row, len(t_ms), ends[stop - 1] + 1)
            low = bound(falls, 0, len(falls), row)
            high = bound(falls, low, len(falls), last)
            mine = slice(first, stop)
            rows = slice(row, last)
            _grown(
                t_ms[rows], values[rows], ends[mine], range_ms, True, per, falls[low:high] - row, out[mine],
                present[mine],
            )  # fmt: skip
            done = stop


@njit(nogil=True, cache=True)
def _series(
    t_ms: I64, values: F64, ends: I64, range_ms: int, is_counter: bool, per: float, room: I64, out: F64, present: Bool
) -> None:
    """One series; `room`: for as many numbers as it has rows."""
    falls = room[: _falls(values, room) if is_counter else 0]
    if len(ends) > 1 and len(falls) * FEW_FALLS <= len(values):
        gap = _even_gap(t_ms)
        if gap and (ends[1] - ends[0]) % gap == 0:
            a, b = _evenly(t_ms[0], gap, values, ends, range_ms, is_counter, per, out)
            present[a:b] = True
            if a < b:
                _again(t_ms, values, ends, a, b, range_ms, per, falls, out, present)
            if a:
                _grown(t_ms, values, ends[:a], range_ms, is_counter, per, falls, out[:a], present[:a])
            if b < len(ends):
                row = bound(t_ms, 0, len(t_ms), ends[b] - range_ms)
                later = bound(falls, 0, len(falls), row)
                _grown(
                    t_ms[row:], values[row:], ends[b:], range_ms, is_counter, per, falls[later:] - row, out[b:],
                    present[b:],
                )  # fmt: skip
            return
    _grown(t_ms, values, ends, range_ms, is_counter, per, falls, out, present)


@njit(nogil=True, cache=True)
def extrapolated(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, is_counter: bool, is_rate: bool
) -> tuple[F64, Bool]:
    """rate, increase (counters: resets are added back) and delta."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.empty(shape), np.empty(shape, np.bool_)
    per = range_ms / 1000 if is_rate else 1.0
    room = np.empty(np.diff(offsets).max() if shape[0] else 0, np.int64)
    for s in range(shape[0]):
        a, b = offsets[s], offsets[s + 1]
        _series(t_ms[a:b], values[a:b], ends, range_ms, is_counter, per, room, out[s], present[s])
    return out, present


@njit(nogil=True, cache=True)
def _stale(bits: I64) -> int:
    """How many samples are stale markers."""
    found = 0
    for i in range(len(bits)):
        found += bits[i] == STALE_BITS
    return found


@njit(nogil=True, cache=True)
def _live(t_ms: I64, bits: I64) -> int:
    """Take stale markers out, in place; returns how many samples are left."""
    left = 0
    for i in range(len(bits)):
        if bits[i] != STALE_BITS:
            t_ms[left], bits[left] = t_ms[i], bits[i]
            left += 1
    return left


@njit(nogil=True, cache=True)
def extrapolated_where_laid(
    times: I64, values: I64, lengths: I64, first: I64, ends: I64, range_ms: int, is_counter: bool, is_rate: bool
) -> tuple[F64, Bool, I64]:
    """The same of series in pieces (see `obs.tsdb.kernels_laid`), and how many rows each has.

    A series is copied only where it lies in several pieces or has stale markers.
    """
    shape = (len(first) - 1, len(ends))
    out, present, counts = np.empty(shape), np.empty(shape, np.bool_), np.zeros(shape[0], np.int64)
    per = range_ms / 1000 if is_rate else 1.0
    most = longest(lengths, first)
    t_ms, bits, room = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    for s in range(shape[0]):
        a, b = first[s], first[s + 1]
        if b == a + 1:
            counts[s] = lengths[a]
            here_ms, here = at_address(times[a], lengths[a]), at_address(values[a], lengths[a])
            if not _stale(here):
                _series(
                    here_ms, here.view(np.float64), ends, range_ms, is_counter, per, room, out[s], present[s]
                )  # fmt: skip
                continue
        counts[s] = merged(times, values, lengths, a, b, t_ms, bits)
        rows = _live(t_ms[: counts[s]], bits[: counts[s]])
        _series(
            t_ms[:rows], bits[:rows].view(np.float64), ends, range_ms, is_counter, per, room, out[s], present[s]
        )  # fmt: skip
    return out, present, counts


def warm() -> None:
    """Compile what a source in memory does not call."""
    t_ms, values, lengths = np.array([1, 2]), np.array([1.0, 2.5]), np.array([2])
    places = np.array([t_ms.ctypes.data]), np.array([values.ctypes.data])
    extrapolated_where_laid(*places, lengths, np.array([0, 1]), np.array([2]), 5, True, True)
