"""Kernels over concatenated series: the last sample within a lookback, and rates over sliding windows.

Series i owns rows offsets[i]:offsets[i+1]; `ends` rise. A window is (end - range_ms, end]. Out: float64[series, step]
and bool[series, step]. Import this module only while a query runs: it loads numba.
Source: https://prometheus.io/docs/prometheus/latest/querying/functions/
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

STALE_BITS = 0x7FF0000000000002


@njit(nogil=True, cache=True)
def after(t_ms: I64, row: int, stop: int, bound: int) -> int:
    """The first row at or after `row` whose time is past `bound`."""
    while row < stop and t_ms[row] <= bound:
        row += 1
    return row


@njit(nogil=True, cache=True)
def last_sample(offsets: I64, t_ms: I64, values: F64, bits: I64, ends: I64, lookback_ms: int) -> tuple[F64, I64, Bool]:
    """Per series and step the last sample in (end - lookback_ms, end] and its row; a stale one ends the series."""
    shape = (len(offsets) - 1, len(ends))
    out, rows, present = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        row, stop = offsets[series], offsets[series + 1]
        for step in range(shape[1]):
            row = after(t_ms, row, stop, ends[step])
            last = row - 1
            if last >= offsets[series] and t_ms[last] > ends[step] - lookback_ms and bits[last] != STALE_BITS:
                out[series, step], rows[series, step], present[series, step] = values[last], last, True
    return out, rows, present


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
def extrapolated(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, is_counter: bool, is_rate: bool
) -> tuple[F64, Bool]:
    """rate, increase (counters: resets are added back) and delta."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    per = range_ms / 1000 if is_rate else 1.0
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        fall = -1  # the last row so far that is below its predecessor: the window holds one if it is past `lo`
        for step in range(shape[1]):
            right = ends[step]
            left = right - range_ms
            lo = after(t_ms, lo, stop, left)
            while hi < stop and t_ms[hi] <= right:
                if hi > offsets[series] and values[hi] < values[hi - 1]:
                    fall = hi
                hi += 1
            if hi - lo < 2:
                continue
            result = values[hi - 1] - values[lo]
            if is_counter and fall > lo:
                for row in range(lo + 1, hi):
                    if values[row] < values[row - 1]:
                        result += values[row - 1]
            covered = extrapolation(t_ms[lo], t_ms[hi - 1], hi - 1 - lo, left, right, values[lo], result, is_counter)
            out[series, step] = result * (covered / ((t_ms[hi - 1] - t_ms[lo]) * per))
            present[series, step] = True
    return out, present


@njit(nogil=True, cache=True)
def instant_delta(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, is_rate: bool) -> tuple[F64, Bool]:
    """irate and idelta: from the last two samples of the window."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        row, stop = offsets[series], offsets[series + 1]
        for step in range(shape[1]):
            row = after(t_ms, row, stop, ends[step])
            if row - 2 < offsets[series] or t_ms[row - 2] <= ends[step] - range_ms:
                continue
            last, before = values[row - 1], values[row - 2]
            result = last if is_rate and last < before else last - before
            if is_rate:
                result /= (t_ms[row - 1] - t_ms[row - 2]) / 1000
            out[series, step], present[series, step] = result, True
    return out, present
