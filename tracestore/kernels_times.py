"""Clock skew, covered time and critical path of linked spans as short compiled loops; `times_plain.py` is the twin.

In: spans sorted by (trace, start) with their parents and nested-set bounds, and a code per clock. Out, in place: what
to add to a span's times so that it fits its parent, the time in which a child ran, the self time off the critical path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Small = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]

CONSUMER = 5


@njit(nogil=True, cache=True)
def fitting(start: Any, end: Any, parent_start: Any, parent_end: Any) -> Any:
    """What to add to a span's times so that it lies within its parent: in the middle, as if both ways took as long.

    Source: Jaeger, clock skew adjustment: a child longer than its parent only may not start before it.
    """
    length, room = end - start, parent_end - parent_start
    if length > room:
        return max(parent_start - start, 0)
    if start >= parent_start and end <= parent_end:
        return 0
    return parent_start + (room - length) // 2 - start


@njit(nogil=True, cache=True)
def adjust_clocks(
    base: int, n: int, up: Places, kind: Small, clock: Places, at: Places, low: Times, high: Times, skew: Times
) -> bool:
    """Shift spans of another clock than their parent's into it; whether any is. `low`, `high`: times as adjusted."""
    shifted = False
    for place in range(n):
        i = at[place]
        p = up[base + i]
        delta = 0
        if p >= 0 and kind[base + i] != CONSUMER:
            if clock[base + i] == clock[base + p]:
                delta = skew[base + p]
            else:
                delta = fitting(low[i], high[i], low[p], high[p])
        skew[base + i] = delta
        low[i] += delta
        high[i] += delta
        shifted |= delta != 0
    return shifted


@njit(nogil=True, cache=True)
def cover(base: int, n: int, up: Places, by_start: Any, low: Times, high: Times, reach: Times, covered: Times) -> None:
    """Of each span the time within its own bounds in which a child ran."""
    for i in range(n):
        reach[i] = low[i]
        covered[base + i] = 0
    for place in range(n):
        i = by_start[place]
        p = up[base + i]
        if p >= 0:
            begins = max(low[i], reach[p])
            ends = min(high[i], high[p])
            if ends > begins:
                covered[base + p] += ends - begins
                reach[p] = ends


@njit(nogil=True, cache=True)
def order_by(values: Times, n: int, order: Any) -> None:
    """Rows by ascending value, equal ones by row; nearly sorted input takes little."""
    if n > 64:
        order[:n] = np.argsort(values[:n], kind="mergesort")
        return
    for i in range(n):
        place = i
        while place > 0 and values[order[place - 1]] > values[i]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i


@njit(nogil=True, cache=True)
def walk_back(node: int, first: Places, following: Places, low: Times, high: Times, from_: Times, until: Times) -> Any:
    """Put the children that a span last waited for on the path, from its `until` back; returns its own time on it.

    `first[node]` begins the children by descending end. One that overlaps a later-finishing sibling is not waited for.
    """
    cursor, own = until[node], 0
    child, last = first[node], True
    while child >= 0 and cursor > from_[node]:
        ends = min(high[child], cursor) if last else high[child]
        begins = max(low[child], from_[node])
        if ends <= cursor and begins < ends:
            own += cursor - ends
            from_[child], until[child] = begins, ends
            cursor, last = begins, False
        child = following[child]
    return own + max(cursor - from_[node], 0)


@njit(nogil=True, cache=True)
def find_path(
    base: int, n: int, up: Places, at: Places, by_end: Any, first: Places, following: Places,
    low: Times, high: Times, from_: Times, until: Times, critical: Times,
) -> None:  # fmt: skip
    """Of each span the time on its trace's critical path; tops are children of the whole trace, number n."""
    for i in range(n + 1):
        first[i] = -1
        from_[i] = until[i] = 0
    from_[n], until[n] = low[at[0]], high[at[0]]
    for place in range(n):
        i = by_end[place]
        p = up[base + i] if up[base + i] >= 0 else n
        following[i] = first[p]
        first[p] = i
        if p == n:
            from_[n] = min(from_[n], low[i])
            until[n] = max(until[n], high[i])
    walk_back(n, first, following, low, high, from_, until)
    for place in range(n):
        i = at[place]
        critical[base + i] = walk_back(i, first, following, low, high, from_, until) if until[i] > from_[i] else 0


@njit(nogil=True, cache=True)
def build_times(
    starts: Times, up: Places, left: Places, kind: Small, clock: Places, start: Times, end: Times,
    covered: Times, skew: Times, off_path: Times,
) -> None:  # fmt: skip
    """All three of every trace; `starts` are the first rows of traces, then the number of rows."""
    most = 0
    for t in range(len(starts) - 1):
        most = max(most, starts[t + 1] - starts[t])
    numbered = np.full(2 * most + 1, -1, np.int32)
    at, first, following = np.empty(most, np.int32), np.empty(most + 1, np.int32), np.empty(most, np.int32)
    order = np.arange(most)
    low, high = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    from_, until = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    for t in range(len(starts) - 1):
        base, n = starts[t], starts[t + 1] - starts[t]
        numbered[: 2 * n + 1] = -1
        for i in range(n):
            numbered[left[base + i]] = i
            low[i] = start[base + i]
            high[i] = max(end[base + i], start[base + i])
            order[i] = i
        place = 0
        for number in range(1, 2 * n + 1):
            if numbered[number] >= 0:
                at[place] = numbered[number]
                place += 1
        if adjust_clocks(base, n, up, kind, clock, at, low, high, skew):
            order_by(low, n, order)
        cover(base, n, up, order, low, high, from_, covered)
        order_by(high, n, order)
        find_path(base, n, up, at, order, first, following, low, high, from_, until, off_path)
        for i in range(n):
            off_path[base + i] = high[i] - low[i] - covered[base + i] - off_path[base + i]
