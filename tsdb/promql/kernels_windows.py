"""Kernels of the `*_over_time` functions, changes, resets and regressions: one pass over each window.

Shapes and windows as in `kernels.py`. Sums are compensated as Prometheus compensates them (Neumaier).
Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#aggregation_over_time
"""

from __future__ import annotations

import numpy as np
from numba import njit

from obs.tsdb.promql.kernels import F64, I64, Bool, after


@njit(nogil=True, cache=True)
def add(term: float, total: float, lost: float) -> tuple[float, float]:
    """One step of a compensated sum: the new total, and what rounding has lost so far."""
    new = total + term
    if np.isinf(new):
        return new, 0.0
    if abs(total) >= abs(term):
        return new, lost + ((total - new) + term)
    return new, lost + ((term - new) + total)


@njit(nogil=True, cache=True)
def mean(values: F64, lo: int, hi: int) -> float:
    """The mean of rows lo:hi; where the sum overflows it goes on with a running mean."""
    total, lost, running = values[lo], 0.0, False
    for row in range(lo + 1, hi):
        count = float(row - lo + 1)
        if not running:
            new_total, new_lost = add(values[row], total, lost)
            if not np.isinf(new_total):
                total, lost = new_total, new_lost
                continue
            running = True
            total /= count - 1
            lost /= count - 1
        keep = (count - 1) / count
        total, lost = add(values[row] / count, keep * total, keep * lost)
    return total + lost if running else total / (hi - lo) + lost / (hi - lo)


@njit(nogil=True, cache=True)
def variance(values: F64, lo: int, hi: int) -> float:
    """The population variance of rows lo:hi (Welford, compensated)."""
    center = lost_center = spread = lost_spread = 0.0
    for row in range(lo, hi):
        delta = values[row] - (center + lost_center)
        center, lost_center = add(delta / (row - lo + 1), center, lost_center)
        spread, lost_spread = add(delta * (values[row] - (center + lost_center)), spread, lost_spread)
    return (spread + lost_spread) / (hi - lo)


@njit(nogil=True, cache=True)
def quantile(q: float, window: F64) -> float:
    """The q-quantile with linear interpolation; NaN values count as the smallest. Sorts a copy."""
    ordered = np.sort(window)  # NaN last
    nans = 0
    for value in ordered[::-1]:
        if not np.isnan(value):
            break
        nans += 1
    return quantile_of(q, ordered, len(window) - nans, nans)


@njit(nogil=True, cache=True)
def quantile_of(q: float, ordered: F64, numbers: int, nans: int) -> float:
    """The q-quantile of sorted numbers and of as many NaN as there were beside them, which count as the smallest."""
    n = numbers + nans
    if n == 0 or np.isnan(q):
        return np.nan
    if q < 0:
        return -np.inf
    if q > 1:
        return np.inf
    rank = q * (n - 1)
    lower = int(np.floor(rank))
    upper = min(n - 1, lower + 1)
    weight = rank - np.floor(rank)
    low = np.nan if lower < nans else ordered[lower - nans]
    if weight == 0:  # an infinite neighbour that counts for nothing makes no NaN
        return low
    high = np.nan if upper < nans else ordered[upper - nans]
    return low * (1 - weight) + high * weight


@njit(nogil=True, cache=True)
def _place(ordered: F64, numbers: int, value: float) -> int:
    """The first of sorted numbers that is not below a value."""
    low, high = 0, numbers
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def _leave(ordered: F64, numbers: int, values: F64, lo: int, hi: int) -> int:
    """Take rows lo:hi out of sorted numbers; returns how many numbers are left. NaN were never among them."""
    for row in range(lo, hi):
        if not np.isnan(values[row]):
            numbers -= 1
            for i in range(_place(ordered, numbers + 1, values[row]), numbers):
                ordered[i] = ordered[i + 1]
    return numbers


@njit(nogil=True, cache=True)
def _enter(ordered: F64, numbers: int, values: F64, lo: int, hi: int) -> int:
    """Put rows lo:hi among sorted numbers; returns how many numbers there are."""
    for row in range(lo, hi):
        if not np.isnan(values[row]):
            at = _place(ordered, numbers, values[row])
            for i in range(numbers, at, -1):
                ordered[i] = ordered[i - 1]
            ordered[at] = values[row]
            numbers += 1
    return numbers


@njit(nogil=True, cache=True)
def _enter_all(ordered: F64, values: F64, lo: int, hi: int) -> int:
    """Sort rows lo:hi; returns how many numbers there are."""
    numbers = 0
    for row in range(lo, hi):
        if not np.isnan(values[row]):
            ordered[numbers] = values[row]
            numbers += 1
    ordered[:numbers].sort()
    return numbers


@njit(nogil=True, cache=True)
def sum_over_time(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int) -> tuple[F64, Bool]:
    """The compensated sum of each window."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi > lo:
                total = lost = 0.0
                for row in range(lo, hi):
                    total, lost = add(values[row], total, lost)
                out[series, step], present[series, step] = total + lost, True
    return out, present


@njit(nogil=True, cache=True)
def avg_over_time(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int) -> tuple[F64, Bool]:
    """The mean of each window."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi > lo:
                out[series, step], present[series, step] = mean(values, lo, hi), True
    return out, present


@njit(nogil=True, cache=True)
def rows_over_time(offsets: I64, t_ms: I64, ends: I64, range_ms: int) -> tuple[I64, I64]:
    """Each window as rows first:last (half open); equal where it is empty."""
    shape = (len(offsets) - 1, len(ends))
    first, last = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            first[series, step], last[series, step] = lo, hi
    return first, last


@njit(nogil=True, cache=True)
def extreme_over_time(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, sign: float
) -> tuple[F64, I64, Bool]:
    """The largest (sign 1) or smallest (sign -1) value of each window and its row (the last of equals)."""
    shape = (len(offsets) - 1, len(ends))
    out, rows, present = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        best, seen = -1, lo
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi > lo:
                if best < lo:  # it left the window: look at all that is left
                    best = seen = lo
                for row in range(seen, hi):
                    if values[row] * sign >= values[best] * sign or np.isnan(values[best]):
                        best = row
                seen = hi
                out[series, step], rows[series, step], present[series, step] = values[best], best, True
    return out, rows, present


@njit(nogil=True, cache=True)
def variance_over_time(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int) -> tuple[F64, Bool]:
    """The population variance of each window."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi > lo:
                out[series, step], present[series, step] = variance(values, lo, hi), True
    return out, present


@njit(nogil=True, cache=True)
def quantile_over_time(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, q: F64) -> tuple[F64, Bool]:
    """The q[step]-quantile of each window: its numbers stay sorted while it moves, unless most of them are new."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        start = lo = hi = offsets[series]
        stop = offsets[series + 1]
        ordered = np.empty(stop - start)
        numbers, left, right = 0, lo, lo  # the numbers of rows left:right stand sorted
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi <= lo:
                continue
            if 2 * ((lo - left) + (hi - right)) < hi - lo:
                numbers = _leave(ordered, numbers, values, left, lo)
                numbers = _enter(ordered, numbers, values, right, hi)
            else:
                numbers = _enter_all(ordered, values, lo, hi)
            left, right = lo, hi
            out[series, step], present[series, step] = quantile_of(q[step], ordered, numbers, hi - lo - numbers), True
    return out, present


@njit(nogil=True, cache=True)
def mad_over_time(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int) -> tuple[F64, Bool]:
    """The median absolute deviation of each window."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi > lo:
                present[series, step] = True
                if np.isnan(values[lo:hi]).any():
                    out[series, step] = np.nan
                else:
                    out[series, step] = quantile(0.5, np.abs(values[lo:hi] - quantile(0.5, values[lo:hi])))
    return out, present


@njit(nogil=True, cache=True)
def turns_over_time(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, falls_only: bool
) -> tuple[F64, Bool]:
    """How often neighbours differ in each window (`changes`), or fall (`resets`); NaN equals NaN."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            present[series, step] = hi > lo
            for row in range(lo + 1, hi):
                before, now = values[row - 1], values[row]
                if now < before or (not falls_only and now != before and not (np.isnan(now) and np.isnan(before))):
                    out[series, step] += 1
    return out, present
