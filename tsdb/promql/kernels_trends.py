"""Kernels of deriv, predict_linear and double_exponential_smoothing. Shapes and windows as in `kernels.py`.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#deriv
"""

from __future__ import annotations

import numpy as np
from numba import njit

from obs.tsdb.promql.kernels import F64, I64, Bool, after
from obs.tsdb.promql.kernels_windows import add


@njit(nogil=True, cache=True)
def regression(t_ms: I64, values: F64, lo: int, hi: int, origin_ms: int) -> tuple[float, float]:
    """Least squares over rows lo:hi: slope per second, and the value at `origin_ms`."""
    sum_x = lost_x = sum_y = lost_y = sum_xy = lost_xy = sum_xx = lost_xx = 0.0
    constant = True
    for row in range(lo, hi):
        y = values[row]
        constant = constant and y == values[lo]
        x = (t_ms[row] - origin_ms) / 1000
        sum_x, lost_x = add(x, sum_x, lost_x)
        sum_y, lost_y = add(y, sum_y, lost_y)
        sum_xy, lost_xy = add(x * y, sum_xy, lost_xy)
        sum_xx, lost_xx = add(x * x, sum_xx, lost_xx)
    if constant:
        return (np.nan, np.nan) if np.isinf(values[lo]) else (0.0, values[lo])
    n = float(hi - lo)
    sum_x, sum_y, sum_xy, sum_xx = sum_x + lost_x, sum_y + lost_y, sum_xy + lost_xy, sum_xx + lost_xx
    slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n)
    return slope, sum_y / n - slope * sum_x / n


@njit(nogil=True, cache=True)
def deriv(offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int) -> tuple[F64, Bool]:
    """The slope of each window of two samples or more."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi - lo > 1:
                out[series, step], present[series, step] = regression(t_ms, values, lo, hi, t_ms[lo])[0], True
    return out, present


@njit(nogil=True, cache=True)
def predict_linear(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, origins: I64, ahead_s: F64
) -> tuple[F64, Bool]:
    """The line through each window, read `ahead_s[step]` after `origins[step]`."""
    shape = (len(offsets) - 1, len(origins))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            end = ends[min(step, len(ends) - 1)]
            lo = after(t_ms, lo, stop, end - range_ms)
            hi = after(t_ms, max(lo, hi), stop, end)
            if hi - lo > 1:
                slope, now = regression(t_ms, values, lo, hi, origins[step])
                out[series, step], present[series, step] = slope * ahead_s[step] + now, True
    return out, present


@njit(nogil=True, cache=True)
def smoothing(
    offsets: I64, t_ms: I64, values: F64, ends: I64, range_ms: int, level: F64, trend: F64
) -> tuple[F64, Bool]:
    """Holt's double exponential smoothing with factors per step."""
    shape = (len(offsets) - 1, len(ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for series in range(shape[0]):
        lo = hi = offsets[series]
        stop = offsets[series + 1]
        for step in range(shape[1]):
            lo = after(t_ms, lo, stop, ends[step] - range_ms)
            hi = after(t_ms, max(lo, hi), stop, ends[step])
            if hi - lo < 2:
                continue
            before, now, slope = 0.0, values[lo], values[lo + 1] - values[lo]
            for row in range(lo + 1, hi):
                if row > lo + 1:
                    slope = trend[step] * (now - before) + (1 - trend[step]) * slope
                before, now = now, level[step] * values[row] + (1 - level[step]) * (now + slope)
            out[series, step], present[series, step] = now, True
    return out, present
