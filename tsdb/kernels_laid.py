"""Loops over samples where they lie: piece k is lengths[k] rows of times and values (as bits) at two addresses.

Series s is pieces first[s]:first[s + 1], in the order they were written, each with rising times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, njit, types
from numba.extending import intrinsic

from obs.tsdb.kernels import bound, weave

I64 = npt.NDArray[np.int64]


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """A number as the place in memory that it is."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.int64), codegen


@njit(nogil=True, cache=True)
def at_address(address: int, length: int) -> I64:
    """So many integers from an address on, which the caller keeps in memory."""
    found: I64 = carray(_pointer(address), length)
    return found


@njit(nogil=True, cache=True)
def clip(times: I64, values: I64, lengths: I64, start_ms: int, end_ms: int) -> int:
    """Narrow every piece to start..end (inclusive), in place; returns the rows that are left."""
    total = 0
    for k in range(len(lengths)):
        t_ms = at_address(times[k], lengths[k])
        start, stop = bound(t_ms, 0, len(t_ms), start_ms), len(t_ms)
        if end_ms < np.iinfo(np.int64).max:
            stop = bound(t_ms, start, stop, end_ms + 1)
        times[k] += 8 * start
        values[k] += 8 * start
        lengths[k] = stop - start
        total += stop - start
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
            out_t[out : out + rows] = t_ms
            out_bits[out : out + rows] = bits
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
    times, bits, lengths = np.array([t_ms.ctypes.data]), np.array([values.ctypes.data]), np.array([2])
    gather(times, bits, lengths, np.array([0, 1]), clip(times, bits, lengths, 0, 5))
