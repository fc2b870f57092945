"""Loops that pick rows out of many chunks: values of fixed width, and texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import types

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.uintp))


@njit(nogil=True, cache=True)
def pick_fixed(rows: Index, bases: Index, stride: Any, width: Any, out: Bytes) -> None:
    """Copy `width` bytes of each row to `out`: those at the address bases[i] + rows[i] * stride."""
    to = out.ctypes.data
    for i in range(rows.size):
        _memcpy(to + i * width, bases[i] + rows[i] * stride, width)


@njit(nogil=True, cache=True)
def text_ends(spans: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32]) -> Any:
    """Where texts of spans (start and end by turns) end in one place; returns the last end, -1 past 2 GB."""
    end = np.int64(0)
    for i in range(offsets.size - 1):
        end += spans[2 * i + 1] - spans[2 * i]
        if end > 0x7FFFFFFF:
            return np.int64(-1)
        offsets[i + 1] = end
    return end


@njit(nogil=True, cache=True)
def pick_texts(bases: Index, spans: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32], out: Bytes) -> None:
    """Copy each text to `out`, where it ends at offsets[i + 1]: it begins at the address bases[i] + spans[2 * i]."""
    to = out.ctypes.data
    for i in range(bases.size):
        _memcpy(to + offsets[i], bases[i] + spans[2 * i], spans[2 * i + 1] - spans[2 * i])


def warm() -> None:
    """Call every kernel with the types it is used with."""
    source = np.frombuffer(b"abcdefgh", np.uint8)
    rows, bases, out = np.zeros(1, np.int64), np.full(1, source.ctypes.data), np.zeros(8, np.uint8)
    pick_fixed(rows, bases, 8, 8, out)
    spans, offsets = np.array([0, 8], np.int32), np.zeros(2, np.int32)
    text_ends(spans, offsets)
    pick_texts(bases, spans, offsets, out)
