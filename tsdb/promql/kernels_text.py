"""The text of a matrix's points, put together of texts of its times and of its numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.tsdb.kernels_words import load, store, zeros_below
from obs.tsdb.promql.kernels import I64, Bool

U8 = npt.NDArray[np.uint8]

SPARE = 8
"""Bytes behind a text, so that all of it can be read in words."""

LONGEST_OPENING = 24

_COMMA, _POINT, _ZERO, _MINUS, _OPEN, _QUOTE = (ord(c) for c in ',.0-["')
_COMMAS = np.uint64(0x2C2C2C2C2C2C2C2C)
_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_CLOSING = np.uint64(0x2C5D22)  # "],


@njit(nogil=True, cache=True)
def openings(times: I64) -> tuple[U8, I64]:
    """`[time,"` of every time of milliseconds below 1e15, in seconds; one after the other, and where each ends."""
    text, ends = np.empty(len(times) * LONGEST_OPENING + SPARE, np.uint8), np.empty(len(times), np.int64)
    digits = np.empty(LONGEST_OPENING, np.uint8)
    at = 0
    for i in range(len(times)):
        text[at] = _OPEN
        at += 1
        if times[i] < 0:
            text[at] = _MINUS
            at += 1
        seconds, thousandths = abs(times[i]) // 1000, abs(times[i]) % 1000
        left, count = seconds, 0
        while left or not count:
            digits[count] = _ZERO + left % 10
            left //= 10
            count += 1
        for k in range(count):
            text[at + k] = digits[count - 1 - k]
        at += count
        if thousandths:
            text[at] = _POINT
            text[at + 1] = _ZERO + thousandths // 100
            text[at + 2] = _ZERO + thousandths // 10 % 10
            text[at + 3] = _ZERO + thousandths % 10
            at += 4
        text[at], text[at + 1] = _COMMA, _QUOTE
        at += 2
        ends[i] = at
    return text[: at + SPARE], ends


@njit(nogil=True, cache=True)
def _number(source: int, target: int) -> int:
    """Copy a number up to its comma; returns its bytes. What is written behind it means nothing."""
    done = 0
    while True:
        word = load(source + done)
        store(target + done, word)
        other = word ^ _COMMAS
        commas = (other - _ONES) & ~other & _TOPS
        if commas:
            return done + (zeros_below(commas) >> 3)
        done += 8


@njit(nogil=True, cache=True)
def points(present: Bool, opened: U8, ends: I64, numbers: U8) -> tuple[U8, I64]:
    """`[time,"value"],` of every point that is present, and where those of each row end.

    `opened`: of every time the text up to its value, which ends at ends[step]. `numbers`: the values of all points, a
    comma behind each; `.0` at the end of one is left out, as Go does. Both have `SPARE` bytes behind them.
    """
    rows, steps = present.shape
    bounds = np.zeros(rows, np.int64)
    size = len(numbers) + SPARE
    for row in range(rows):
        for step in range(steps):
            if present[row, step]:
                size += ends[step] - (ends[step - 1] if step else 0) + 3
    out = np.empty(size, np.uint8)
    begin, times, read = np.int64(out.ctypes.data), np.int64(opened.ctypes.data), np.int64(numbers.ctypes.data)
    here = begin
    for row in range(rows):
        for step in range(steps):
            if not present[row, step]:
                continue
            first = ends[step - 1] if step else 0
            opening = ends[step] - first
            for i in range(0, opening, 8):
                store(here + i, load(times + first + i))
            here += opening
            length = _number(read, here)
            read += length + 1
            here += length
            if out[here - begin - 1] == _ZERO and out[here - begin - 2] == _POINT:
                here -= 2
            store(here, _CLOSING)
            here += 3
        bounds[row] = here - begin
    return out[: here - begin], bounds


def warm() -> None:
    """Compile it for the types it is called with."""
    text = np.frombuffer(b"1.0," + bytes(SPARE), np.uint8).copy()
    points(np.ones((1, 1), np.bool_), *openings(np.zeros(1, np.int64)), text)
