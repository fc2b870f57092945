"""Kernels over concatenated series: the last sample within a lookback, and its difference to the one before.

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
