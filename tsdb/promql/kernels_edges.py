"""Kernels for `anchored` and `smoothed` selectors. Shapes and windows as in `kernels.py`.

anchored: the sample at or before the left edge counts as the first. smoothed: values at both edges are interpolated.
Source: https://prometheus.io/docs/prometheus/latest/feature_flags/#extended-range-selectors
"""

from __future__ import annotations

import numpy as np
from numba import njit

from obs.tsdb.promql.kernels import F64, I64, Bool, after


@njit(nogil=True, cache=True)
def between(t_ms: I64, values: F64, row: int, at_ms: int, is_counter: bool) -> float:
    """The value at a time between `row` and the next, on a line; a counter that was reset began from zero."""
    a, b = values[row], values[row + 1]
    if is_counter and b < a:
        a = 0.0
    return a + (b - a) * (at_ms - t_ms[row]) / (t_ms[row + 1] - t_ms[row])


@njit(nogil=True, cache=True)
def edge_rows(
    t_ms: I64, start: int, stop: int, lo: int, hi: int, left_ms: int, right_ms: int, lookback_ms: int, smoothed: bool
) -> tuple[int, int]:
    """The first and last row that a window lo:hi is worked out from."""
    first, last = lo, hi - 1
    if lo > start and t_ms[lo - 1] > left_ms - lookback_ms:
        first = lo - 1
    beyond = smoothed and hi < stop and t_ms[hi] <= right_ms + lookback_ms
    if beyond and (hi == start or t_ms[hi - 1] < right_ms):
        last = hi
    return first, last


@njit(nogil=True, cache=True)
def extended(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, lookback_ms: int, smoothed: bool,
    is_counter: bool, is_rate: bool,
) -> tuple[F64, Bool]:  # fmt: skip
    """rate, increase and delta without extrapolation."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = start = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            right = ends[step]
            left = right - range_ms
            lo = after(t_ms, lo, stop, left)
            hi = after(t_ms, max(lo, hi), stop, right)
            first, last = edge_rows(t_ms, start, stop, lo, hi, left, right, lookback_ms, smoothed)
            if last < first or t_ms[last] <= left or t_ms[first] > right:
                continue
            low, high = values[first], values[last]
            if smoothed and t_ms[first] < left and first < last:
                low = between(t_ms, values, first, left, is_counter)
            if smoothed and t_ms[last] > right and first < last:
                high = between(t_ms, values, last - 1, right, is_counter)
            result = high - low
            if is_counter:
                before = low
                for row in range(max(first, lo), min(last + 1, hi)):
                    if values[row] < before:
                        result += before
                    before = values[row]
                if high < before:
                    result += before
            if is_rate:
                result /= range_ms / 1000
            out[series, step], present[series, step] = result, True
    return out, present


@njit(nogil=True, cache=True)
def all_edge_rows(
    offsets: I64, t_ms: I64, ends: I64, range_ms: int, lookback_ms: int, smoothed: bool
) -> tuple[I64, I64]:
    """The first and last row that each window is worked out from; last < first where there is none."""
    shape = (len(offsets) - 1, len(ends))
    firsts, lasts = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    for series in range(shape[0]):
        lo = hi = start = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            left = ends[step] - range_ms
            lo = after(t_ms, lo, stop, left)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            first, last = edge_rows(t_ms, start, stop, lo, hi, left, ends[step], lookback_ms, smoothed)
            if last >= first and t_ms[last] > left and t_ms[first] <= ends[step]:
                firsts[series, step], lasts[series, step] = first, last
    return firsts, lasts


@njit(nogil=True, cache=True)
def anchored_turns(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, lookback_ms: int, falls_only: bool
) -> tuple[F64, Bool]:
    """changes and resets, counted from the sample at or before the left edge."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = start = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            left = ends[step] - range_ms
            lo = after(t_ms, lo, stop, left)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            first, last = edge_rows(t_ms, start, stop, lo, hi, left, ends[step], lookback_ms, False)
            if last < first or t_ms[last] <= left:
                continue
            present[series, step] = True
            for row in range(first + 1, last + 1):
                before, now = values[row - 1], values[row]
                if now < before or (not falls_only and now != before and not (np.isnan(now) and np.isnan(before))):
                    out[series, step] += 1
    return out, present


@njit(nogil=True, cache=True)
def smoothed_sample(offsets: I64, t_ms: I64, values: F64, ends: I64, lookback_ms: int) -> tuple[F64, Bool]:
    """The value at each step between the samples around it; the last one goes on where none follows."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        row, stop = offsets[series], offsets[series + 1]
        for step in range(shape[1]):
            row = after(t_ms, row, stop, ends[step])
            if row == offsets[series] or t_ms[row - 1] <= ends[step] - lookback_ms:
                continue
            present[series, step] = True
            if row < stop and t_ms[row] <= ends[step] + lookback_ms and t_ms[row - 1] < ends[step]:
                out[series, step] = between(t_ms, values, row - 1, ends[step], False)
            else:
                out[series, step] = values[row - 1]
    return out, present
