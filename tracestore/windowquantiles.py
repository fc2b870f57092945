"""A quantile over sliding windows of spans: exact where the durations differ little, else within half a percent.

Durations become codes of equal or nearly equal ones; what enters and what leaves each window is counted by code. Pure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
EXACT = 4_096
"""Durations up to which each one that differs is counted by itself."""

WIDTH = 1.01
"""Ratio of the bounds of one code past that: its geometric middle is at most half a percent off."""

CELLS = 1 << 20
"""Counts that are held at once: steps by codes, 8 MB."""


def window_quantiles(
    bins: npt.NDArray[Any], durations: Ints, low: Ints, high: Ints, quantile: float
) -> npt.NDArray[np.float64]:
    """float64[windows]: the quantile (nearest rank) of the durations in bins low < b <= high; NaN of none.

    `bins` are ascending; so are `low` and `high`.
    """
    codes, values = _coded(durations)
    found = np.full(len(low), np.nan)
    ends = np.searchsorted(bins, high, side="right"), np.searchsorted(bins, low, side="right")
    inside = [np.zeros(len(values), np.int64) for _ in ends]
    size = max(1, CELLS // len(values))
    for first in range(0, len(low), size):
        part = slice(first, first + size)
        entered, left = (_counted(codes, e, part, held) for e, held in zip(ends, inside, strict=True))
        inside = [entered[-1], left[-1]]
        total = np.cumsum(entered - left, axis=1)
        calls = total[:, -1]
        rank = np.maximum(np.ceil(quantile * calls), 1)
        at = (total < rank[:, None]).sum(axis=1)
        found[part] = np.where(calls > 0, values[np.minimum(at, len(values) - 1)], np.nan)
    return found


def _coded(durations: Ints) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Codes that rise with the duration, and the duration that each stands for."""
    if len(durations) <= EXACT:
        values, codes = np.unique(durations, return_inverse=True)
        return codes, values.astype(np.float64)
    logs = np.floor(np.log(np.maximum(durations, 1)) / np.log(WIDTH)).astype(np.int64)
    seen = np.flatnonzero(np.bincount(logs))
    place = np.zeros(int(seen[-1]) + 1, np.int64)
    place[seen] = np.arange(len(seen))
    return place[logs], np.power(WIDTH, seen + 0.5)


def _counted(codes: Ints, ends: Ints, part: slice, before: Ints) -> Ints:
    """int64[windows, codes]: how many rows of each code stand before each of the ends of `part`."""
    begin = int(ends[part.start - 1]) if part.start else 0
    mine = ends[part]
    step = np.repeat(np.arange(len(mine)), np.diff(mine, prepend=begin))
    cell = step * len(before) + codes[begin : int(mine[-1])]
    counted = np.bincount(cell, minlength=len(mine) * len(before)).reshape(len(mine), len(before))
    return np.cumsum(counted, axis=0) + before
