"""Loops over samples where they lie: piece k is lengths[k] rows of times and values (as bits) at two addresses.

Series s is pieces first[s]:first[s + 1], in the order they were written, each with rising times.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.tsdb.kernels import bound, weave
from obs.tsdb.kernels_words import bytes_at

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def at_address(address: int, length: int) -> I64:
    """So many integers from an address on, which the caller keeps in memory."""
    found: I64 = bytes_at(address, 8 * length).view(np.int64)
    return found


@njit(nogil=True, cache=True)
def pieces(first: I64, stop: I64, group_starts: I64) -> tuple[I64, I64, I64, I64, I64]:
    """Cut series at the row groups they lie in; series i has rows first[i]:stop[i] of a block, rising.

    Returns the groups that have any; which pieces each has, groups[g] those of bounds[g]:bounds[g + 1]; and of each
    piece its series and its rows within the group. Rows behind the last group are left out.
    """
    most = len(first) + len(group_starts)
    whose, starts, stops = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    groups, bounds = np.empty(len(group_starts), np.int64), np.zeros(len(group_starts) + 1, np.int64)
    last = len(group_starts) - 1
    group = found = touched = 0
    for i in range(len(first)):
        row = max(first[i], group_starts[group])  # a damaged block's rows may not rise
        while row < stop[i]:
            while group < last and group_starts[group + 1] <= row:
                group += 1
            if group == last:
                break
            if not touched or groups[touched - 1] != group:
                groups[touched] = group
                touched += 1
            base, end = group_starts[group], min(stop[i], group_starts[group + 1])
            whose[found], starts[found], stops[found] = i, row - base, end - base
            found += 1
            bounds[touched] = found
            row = end
    return groups[:touched], bounds[: touched + 1], whose[:found], starts[:found], stops[:found]


@njit(nogil=True, cache=True)
def tally(ordinals: I64, slots: I32, first: I64) -> None:
    """Add to first[s + 1] how many of some pieces are of series s; slots: of each ordinal its series."""
    for k in range(len(ordinals)):
        first[slots[ordinals[k]] + 1] += 1


@njit(nogil=True, cache=True)
def place(
    ordinals: I64, starts: I64, stops: I64, t_address: int, v_address: int, slots: I32, free: I64, times: I64,
    values: I64, lengths: I64, start_ms: int, end_ms: int,
) -> int:  # fmt: skip
    """Put pieces, rows starts:stops of two columns, in the next free places of their series.

    Each is narrowed to start..end (inclusive); returns the rows that are left. free: of each series the next place.
    """
    total = 0
    for k in range(len(ordinals)):
        slot, start = slots[ordinals[k]], starts[k]
        t_ms = at_address(t_address + 8 * start, stops[k] - start)
        low, high = bound(t_ms, 0, len(t_ms), start_ms), len(t_ms)
        if end_ms < np.iinfo(np.int64).max:
            high = bound(t_ms, low, high, end_ms + 1)
        at = free[slot]
        free[slot] += 1
        times[at], values[at], lengths[at] = t_address + 8 * (start + low), v_address + 8 * (start + low), high - low
        total += high - low
    return total


@njit(nogil=True, cache=True)
def longest(lengths: I64, first: I64) -> int:
    """The most rows that the pieces of a series have."""
    most = 0
    for s in range(len(first) - 1):
        most = max(most, lengths[first[s] : first[s + 1]].sum())
    return most


@njit(nogil=True, cache=True)
def merged(times: I64, values: I64, lengths: I64, a: int, b: int, out_t: I64, out_bits: I64) -> int:
    """Pieces a:b of one series as one run of rows, of equal times the last written; returns how many."""
    out = 0
    for k in range(a, b):
        rows = lengths[k]
        if not rows:
            continue
        t_ms, bits = at_address(times[k], rows), at_address(values[k], rows)
        if not out or out_t[out - 1] < t_ms[0]:
            for i in range(rows):  # few, mostly: a copy of slices costs as much as thirty of them
                out_t[out + i], out_bits[out + i] = t_ms[i], bits[i]
            out += rows
        else:
            out = weave(out_t, out_bits, 0, out, t_ms, bits, 0, rows)
    return out


@njit(nogil=True, cache=True)
def gather(times: I64, values: I64, lengths: I64, first: I64, total: int) -> tuple[I64, I64, I64]:
    """Times and values (as bits) of all series one after the other, and how many rows each has; `total`: at most."""
    out_t, out_bits = np.empty(total, np.int64), np.empty(total, np.int64)
    counts = np.zeros(len(first) - 1, np.int64)
    out = 0
    for s in range(len(counts)):
        counts[s] = merged(times, values, lengths, first[s], first[s + 1], out_t[out:], out_bits[out:])
        out += counts[s]
    return out_t[:out], out_bits[:out], counts


def warm() -> None:
    """Compile all for the types they are called with."""
    t_ms, values = np.array([1, 2]), np.array([1.0, 2.5])
    _, _, whose, starts, stops = pieces(np.array([0]), np.array([2]), np.array([0, 2]))
    slots, first, times, bits, lengths = np.zeros(1, np.int32), np.zeros(2, np.int64), *np.zeros((3, 1), np.int64)
    tally(whose, slots, first)
    columns = t_ms.ctypes.data, values.ctypes.data
    rows = place(whose, starts, stops, *columns, slots, np.zeros(1, np.int64), times, bits, lengths, 0, 5)
    gather(times, bits, lengths, first, rows)
