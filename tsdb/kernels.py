"""Loops over samples: id to ordinal, order by series and time, decimal scales, taking and weaving of spans.

Each has a numpy twin that serves while this compiles: `IdTable`, `sorting`, `decimals`, `spans`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.tsdb.compiled import read_only

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]
Bool = npt.NDArray[np.bool_]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True)
def lookup(keys: U64, ordinals: I32, shift: Any, ids: U64, out: I32) -> int:
    """Write the ordinal of each id, -1 where it is unknown; returns how many are."""
    mask = len(keys) - 1
    unknown = 0
    for i in range(len(ids)):
        wanted = ids[i]
        place = np.int64((wanted * _MULTIPLIER) >> shift)
        while ordinals[place] >= 0 and keys[place] != wanted:
            place = (place + 1) & mask
        out[i] = ordinals[place]
        unknown += ordinals[place] < 0
    return unknown


FEW_BITS = 17
"""Of ids looked for among many others each sets one of 2^17 bits, which stay in a core's nearest cache: of others most
are told by these alone."""


@njit(nogil=True, cache=True)
def mark(ids: U64, bits: Any) -> None:
    """Set the bit of each id."""
    for i in range(len(ids)):
        at = np.int64((ids[i] * _MULTIPLIER) >> np.uint64(64 - FEW_BITS))
        bits[at >> 3] |= np.uint8(1 << (at & 7))


@njit(nogil=True, cache=True)
def pick(keys: U64, ordinals: I32, shift: Any, bits: Any, ids: U64, rows: I64, found: I32) -> int:
    """Write which rows have an id that is known, and its ordinal; returns how many."""
    mask = len(keys) - 1
    out = 0
    for i in range(len(ids)):
        wanted = ids[i]
        mixed = wanted * _MULTIPLIER
        at = np.int64(mixed >> np.uint64(64 - FEW_BITS))
        if not (bits[at >> 3] >> (at & 7)) & 1:
            continue
        place = np.int64(mixed >> shift)
        while ordinals[place] >= 0 and keys[place] != wanted:
            place = (place + 1) & mask
        if ordinals[place] >= 0:
            rows[out], found[out] = i, ordinals[place]
            out += 1
    return out


@njit(nogil=True, cache=True)
def _rising(t_ms: I64, order: I64, start: int, stop: int) -> bool:
    for i in range(start + 1, stop):
        if t_ms[order[i]] <= t_ms[order[i - 1]]:
            return False
    return True


@njit(nogil=True, cache=True)
def _merge_runs(t_ms: I64, source: I64, target: I64, start: int, middle: int, stop: int) -> None:
    """Merge two runs of rows that are sorted by time; of equal times those of the first run come first."""
    left, right = start, middle
    for out in range(start, stop):
        if left < middle and (right >= stop or t_ms[source[left]] <= t_ms[source[right]]):
            target[out] = source[left]
            left += 1
        else:
            target[out] = source[right]
            right += 1


@njit(nogil=True, cache=True)
def _last_of_each(t_ms: I64, order: I64, start: int, stop: int, out: int) -> int:
    """Sort order[start:stop] by time, keep the last of equals, write from `out` on; returns the end."""
    n = stop - start
    part, spare = order[start:stop].copy(), np.empty(n, np.int64)
    width = 1
    while width < n:
        for low in range(0, n, 2 * width):
            _merge_runs(t_ms, part, spare, low, min(low + width, n), min(low + 2 * width, n))
        part, spare = spare, part
        width *= 2
    for i in range(n):
        if i + 1 == n or t_ms[part[i + 1]] != t_ms[part[i]]:
            order[out] = part[i]
            out += 1
    return out


@njit(nogil=True, cache=True)
def sort_rows(rank: I32, t_ms: I64, ranks: int) -> tuple[I64, I64]:
    """Rows by (rank, time), the last of equal ones only; and how many rows each rank has.

    A counting sort by rank; only a rank whose times do not rise is sorted by time.
    """
    ends = np.zeros(ranks + 1, np.int64)
    for i in range(len(rank)):
        ends[rank[i] + 1] += 1
    for r in range(ranks):
        ends[r + 1] += ends[r]
    order = np.empty(len(rank), np.int64)
    for i in range(len(rank)):
        r = rank[i]
        order[ends[r]] = i
        ends[r] += 1
    counts = np.zeros(ranks, np.int64)
    start = out = 0
    for r in range(ranks):
        stop = ends[r]
        first = out
        if not _rising(t_ms, order, start, stop):
            out = _last_of_each(t_ms, order, start, stop, out)
        else:
            for i in range(start, stop):
                order[out] = order[i]
                out += 1
        counts[r] = out - first
        start = stop
    return order[:out], counts


@njit(nogil=True, cache=True)
def _is_exact(mantissa: float, power: float, limit: float, value: float, bits: int) -> bool:
    """Whether the integer divided by the power is this very double; a negative zero is not 0 / power."""
    return abs(mantissa) < limit and mantissa / power == value and (value != 0.0 or bits == 0)


@njit(nogil=True, cache=True)
def _misfits(values: F64, bits: I64, start: int, stop: int, power: float, limit: float, allowed: int) -> int:
    """How many finite values are no exact multiple of 1 / power; stops counting past `allowed`."""
    misfits = 0
    for i in range(start, stop):
        value = values[i]
        if np.isfinite(value) and not _is_exact(np.rint(value * power), power, limit, value, bits[i]):
            misfits += 1
            if misfits > allowed:
                break
    return misfits


@njit(nogil=True, cache=True)
def choose_scales(values: F64, bits: I64, offsets: I64, powers: F64, limit: float, shift: int) -> I32:
    """Per series the first scale at which at most rows >> shift finite values are not exact; -1: none."""
    scales = np.full(len(offsets) - 1, -1, np.int32)
    for s in range(len(scales)):
        start, stop = offsets[s], offsets[s + 1]
        allowed = (stop - start) >> shift
        for scale in range(len(powers)):
            if _misfits(values, bits, start, stop, powers[scale], limit, allowed) <= allowed:
                scales[s] = scale
                break
    return scales


@njit(nogil=True, cache=True)
def scale_values(
    values: F64, bits: I64, offsets: I64, scales: I32, powers: F64, limit: float, mantissas: I64, inexact: Bool
) -> int:
    """Write each value times ten to its series' scale, or mark it as not exact; returns how many are."""
    misfits = 0
    for s in range(len(scales)):
        power = powers[max(0, scales[s])]
        for i in range(offsets[s], offsets[s + 1]):
            value = values[i]
            mantissa = np.rint(value * power)
            if scales[s] >= 0 and np.isfinite(value) and _is_exact(mantissa, power, limit, value, bits[i]):
                mantissas[i] = np.int64(mantissa)
            else:
                mantissas[i] = 0
                inexact[i] = True
                misfits += 1
    return misfits


@njit(nogil=True, cache=True)
def bound(t_ms: I64, start: int, stop: int, at: int) -> int:
    """The first of rows start..stop (rising) whose time is `at` or later.

    Samples come at even gaps, mostly: looked at first is where it then would be, and from there in growing strides.
    """
    if start == stop or t_ms[start] >= at:
        return start
    if t_ms[stop - 1] < at:
        return stop
    whole = float(t_ms[stop - 1]) - float(t_ms[start])
    gone = (float(at) - float(t_ms[start])) / whole if whole else 0.0  # of large times one double is many
    guess = start + min(max(int(gone * (stop - 1 - start)), 0), stop - 1 - start)
    stride = 1
    if t_ms[guess] < at:
        start = guess + 1
        while start + stride < stop and t_ms[start + stride] < at:
            start += stride + 1
            stride *= 2
        stop = min(start + stride, stop)
    else:
        stop = guess
        while stop - stride > start and t_ms[stop - stride] >= at:
            stop -= stride
            stride *= 2
        start = max(stop - stride, start)
    while start < stop:
        middle = (start + stop) // 2
        if t_ms[middle] < at:
            start = middle + 1
        else:
            stop = middle
    return start


@njit(nogil=True, cache=True)
def clip_spans(t_ms: I64, starts: I64, stops: I64, start_ms: int, end_ms: int) -> int:
    """Narrow every span to start..end (inclusive), in place; returns the rows that are left."""
    total = 0
    for k in range(len(starts)):
        starts[k] = bound(t_ms, starts[k], stops[k], start_ms)
        if end_ms < np.iinfo(np.int64).max:
            stops[k] = bound(t_ms, starts[k], stops[k], end_ms + 1)
        total += stops[k] - starts[k]
    return total


@njit(nogil=True, cache=True)
def copy_spans(t_ms: I64, bits: I64, starts: I64, stops: I64, out_t: I64, out_bits: I64) -> None:
    """Times and values (as bits) of the rows of all spans, one after the other, to the start of the output."""
    out = 0
    for k in range(len(starts)):
        rows = stops[k] - starts[k]
        out_t[out : out + rows] = t_ms[starts[k] : stops[k]]
        out_bits[out : out + rows] = bits[starts[k] : stops[k]]
        out += rows


@njit(nogil=True, cache=True)
def weave(out_t: I64, out_bits: I64, begin: int, end: int, t_ms: I64, bits: I64, start: int, stop: int) -> int:
    """Merge a newer span into rows begin..end of the output, in place; returns the new end."""
    old_t, old_bits = out_t[begin:end].copy(), out_bits[begin:end].copy()
    i, out = 0, begin
    for k in range(start, stop):
        while i < len(old_t) and old_t[i] < t_ms[k]:
            out_t[out], out_bits[out] = old_t[i], old_bits[i]
            i += 1
            out += 1
        if i < len(old_t) and old_t[i] == t_ms[k]:
            i += 1
        out_t[out], out_bits[out] = t_ms[k], bits[k]
        out += 1
    while i < len(old_t):
        out_t[out], out_bits[out] = old_t[i], old_bits[i]
        i += 1
        out += 1
    return out


def warm() -> None:
    """Compile all for the types they are called with: callers pass read-only views of what they read."""
    keys, ordinals, shift = np.zeros(2, np.uint64), np.array([0, -1], np.int32), np.uint64(63)
    ids, t_ms, values = (read_only(a) for a in (np.zeros(2, np.uint64), np.array([1, 2]), np.array([1.0, 2.5])))
    lookup(keys, ordinals, shift, ids, np.empty(2, np.int32))
    bits = np.zeros(1 << (FEW_BITS - 3), np.uint8)
    mark(np.zeros(1, np.uint64), bits)
    pick(keys, ordinals, shift, bits, ids, np.empty(2, np.int64), np.empty(2, np.int32))
    sort_rows(np.zeros(2, np.int32), t_ms, 1)
    value_bits, offsets, powers = values.view(np.int64), np.array([0, 2]), np.array([1.0, 10.0])
    scales = choose_scales(values, value_bits, offsets, powers, 1e15, 6)
    scale_values(values, value_bits, offsets, scales, powers, 1e15, np.empty(2, np.int64), np.zeros(2, np.bool_))
    clip_spans(t_ms, np.array([0, 1]), np.array([2, 2]), 0, 5)
    copy_spans(t_ms, value_bits, np.array([0, 1]), np.array([2, 2]), np.empty(3, np.int64), np.empty(3, np.int64))
    from obs.tsdb import kernels_laid, kernels_pages

    kernels_pages.warm()
    kernels_laid.warm()
