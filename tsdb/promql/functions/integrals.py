"""integral(): the area under a gauge between the samples of a window.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#integral
"""

from __future__ import annotations

import numpy as np

from obs.tsdb.promql.values import F64, I64

LEFT, RIGHT, TRAPEZOIDS = 0, 1, 2
"""Which of two neighbours counts for the time between them: the earlier, the later, or the mean of both."""


def integral(t_ms: I64, values: F64, first: I64, stop: I64, strategy: F64) -> F64:
    """Of rows first:stop of each window, by a strategy for each, in value times seconds."""
    if len(t_ms) < 2:
        return np.zeros(first.shape)
    now = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
    before = np.roll(now, 1)
    seconds = (t_ms - np.roll(t_ms, 1)) / 1000
    with np.errstate(all="ignore"):
        halves = now / 2 + before / 2
        areas = [np.where(height == 0, 0.0, height * seconds) for height in (before, now, halves)]
    sums = np.stack([_sums(area, first, stop) for area in areas])
    chosen = strategy.astype(np.int64)
    return np.asarray(np.take_along_axis(sums, chosen[None], 0)[0])


def _sums(area: F64, first: I64, stop: I64) -> F64:
    """The sum of rows first + 1 … stop - 1 of each window, with more digits than doubles where the machine has them."""
    low = np.minimum(first + 1, stop)
    pairs = np.stack([low.ravel(), stop.ravel()], axis=1).ravel()
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(np.append(area, 0.0).astype(np.longdouble), pairs)[::2].reshape(first.shape)
    return np.where(stop > low, sums, 0.0).astype(np.float64)
