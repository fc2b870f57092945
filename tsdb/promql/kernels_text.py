"""The text of a matrix's points, put together of texts of its times and of its numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.tsdb.promql.kernels import I64, Bool

U8 = npt.NDArray[np.uint8]

_COMMA, _POINT, _ZERO, _QUOTE, _BRACKET = (ord(c) for c in ',.0"]')


@njit(nogil=True, cache=True)
def points(present: Bool, opened: U8, ends: I64, numbers: U8) -> tuple[U8, I64]:
    """`[time,"value"],` of every point that is present, and where those of each row end.

    `opened`: of every time the text up to its value, which ends at ends[step]. `numbers`: the values of all points, a
    comma or a bracket behind each; `.0` at the end of one is left out, as Go does.
    """
    rows, steps = present.shape
    bounds = np.zeros(rows, np.int64)
    size = len(numbers)
    for row in range(rows):
        for step in range(steps):
            if present[row, step]:
                size += ends[step] - (ends[step - 1] if step else 0) + 3
    out = np.empty(size, np.uint8)
    at = read = 0
    for row in range(rows):
        for step in range(steps):
            if not present[row, step]:
                continue
            for i in range(ends[step - 1] if step else 0, ends[step]):
                out[at] = opened[i]
                at += 1
            while numbers[read] != _COMMA and numbers[read] != _BRACKET:
                out[at] = numbers[read]
                at += 1
                read += 1
            read += 1
            if out[at - 1] == _ZERO and out[at - 2] == _POINT:
                at -= 2
            out[at], out[at + 1], out[at + 2] = _QUOTE, _BRACKET, _COMMA
            at += 3
        bounds[row] = at
    return out[:at], bounds


def warm() -> None:
    """Compile it for the types it is called with."""
    text = np.frombuffer(b"1.0]", np.uint8)
    points(np.ones((1, 1), np.bool_), text, np.array([1]), text)
