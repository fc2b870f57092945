"""Kernels of the aggregations: rows of a matrix are folded into their groups, step by step, in the rows' order.

In: values float64[series, step], present bool[series, step], group int64[series]; accumulators float64[group, step],
changed in place, so that a matrix may come in slices.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from obs.tsdb.promql.kernels import F64, I64, Bool
from obs.tsdb.promql.kernels_windows import add, quantile


@njit(nogil=True, cache=True)
def fold_count(present: Bool, group: I64, count: F64) -> None:
    """How many samples each group has at each step."""
    for series in range(present.shape[0]):
        for step in range(present.shape[1]):
            if present[series, step]:
                count[group[series], step] += 1


@njit(nogil=True, cache=True)
def fold_sum(values: F64, present: Bool, group: I64, count: F64, total: F64, lost: F64) -> None:
    """Compensated sums."""
    for series in range(values.shape[0]):
        g = group[series]
        for step in range(values.shape[1]):
            if present[series, step]:
                count[g, step] += 1
                total[g, step], lost[g, step] = add(values[series, step], total[g, step], lost[g, step])


@njit(nogil=True, cache=True)
def fold_extreme(values: F64, present: Bool, group: I64, count: F64, best: F64, sign: float) -> None:
    """The largest (sign 1) or smallest (sign -1) value; NaN only where all are."""
    for series in range(values.shape[0]):
        g = group[series]
        for step in range(values.shape[1]):
            if present[series, step]:
                value = values[series, step]
                if count[g, step] == 0 or value * sign > best[g, step] * sign or np.isnan(best[g, step]):
                    best[g, step] = value
                count[g, step] += 1


@njit(nogil=True, cache=True)
def fold_mean(values: F64, present: Bool, group: I64, count: F64, total: F64, lost: F64, running: Bool) -> None:
    """Sums for a mean; where the sum would overflow, `total` goes on as a running mean."""
    for series in range(values.shape[0]):
        g = group[series]
        for step in range(values.shape[1]):
            if not present[series, step]:
                continue
            value = values[series, step]
            count[g, step] += 1
            n = count[g, step]
            if n == 1:
                total[g, step] = value
                continue
            if not running[g, step]:
                new_total, new_lost = add(value, total[g, step], lost[g, step])
                if not np.isinf(new_total):
                    total[g, step], lost[g, step] = new_total, new_lost
                    continue
                running[g, step] = True
                total[g, step] /= n - 1
                lost[g, step] /= n - 1
            if np.isinf(total[g, step]):
                same = np.isinf(value) and (total[g, step] > 0) == (value > 0)
                if same or np.isfinite(value):
                    continue
            keep = (n - 1) / n
            total[g, step], lost[g, step] = add(value / n, keep * total[g, step], keep * lost[g, step])


@njit(nogil=True, cache=True)
def fold_variance(values: F64, present: Bool, group: I64, count: F64, center: F64, spread: F64) -> None:
    """Welford's mean and sum of squared differences; one that is not finite makes the group NaN."""
    for series in range(values.shape[0]):
        g = group[series]
        for step in range(values.shape[1]):
            if present[series, step]:
                count[g, step] += 1
                if not np.isfinite(values[series, step]):
                    spread[g, step] = np.nan
                delta = values[series, step] - center[g, step]
                center[g, step] += delta / count[g, step]
                spread[g, step] += delta * (values[series, step] - center[g, step])


@njit(nogil=True, cache=True)
def fold_quantile(values: F64, present: Bool, order: I64, bounds: I64, q: F64) -> tuple[F64, Bool]:
    """The q[step]-quantile of each group; group g has the rows order[bounds[g]:bounds[g+1]]."""
    shape = (len(bounds) - 1, values.shape[1])
    out, seen = np.zeros(shape), np.zeros(shape, np.bool_)
    buffer = np.empty(len(order))
    for g in range(shape[0]):
        for step in range(shape[1]):
            n = 0
            for series in order[bounds[g] : bounds[g + 1]]:
                if present[series, step]:
                    buffer[n] = values[series, step]
                    n += 1
            if n:
                out[g, step], seen[g, step] = quantile(q[step], buffer[:n]), True
    return out, seen


@njit(nogil=True, cache=True)
def pick(values: F64, present: Bool, order: I64, bounds: I64, k: I64, sign: float) -> Bool:
    """Which samples are among the k[step] largest (sign 1) or smallest (sign -1) of their group; NaN comes last.

    Of equal values the earlier rows stay.
    """
    chosen = np.zeros(values.shape, np.bool_)
    keys, rows = np.empty(len(order)), np.empty(len(order), np.int64)
    for g in range(len(bounds) - 1):
        for step in range(values.shape[1]):
            n = 0
            for series in order[bounds[g] : bounds[g + 1]]:
                if present[series, step]:
                    keys[n], rows[n] = -values[series, step] * sign, series
                    n += 1
            if n <= k[step]:
                for i in range(n):
                    chosen[rows[i], step] = True
            elif k[step] > 0:
                ranked = np.argsort(keys[:n], kind="mergesort")  # NaN last
                for i in range(k[step]):
                    chosen[rows[ranked[i]], step] = True
    return chosen
