"""rate and increase of anchored and smoothed windows of floats whose samples have start timestamps.

A start within reach stands for a zero there, which the lines at the edges are drawn from or to. Window by window: few
queries ask for both. Source: prometheus.io/docs/prometheus/latest/querying/basics/#extended-range-selectors.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from obs.tsdb.promql.functions.start_times import Starts
from obs.tsdb.promql.plan import Edge
from obs.tsdb.promql.values import F64, Bool, Windows


class Point(NamedTuple):
    """A sample with its start (0: unknown)."""

    t: int
    value: float
    start: int


class Window(NamedTuple):
    """From where to where, and how far back samples are looked for."""

    left: int
    right: int
    back: int
    smoothed: bool


def extended(windows: Windows, starts: Starts, is_rate: bool) -> tuple[F64, Bool]:
    """All windows."""
    shape = (windows.series, len(windows.ends))
    out, present = np.zeros(shape), np.zeros(shape, np.bool_)
    smoothed = windows.edge is Edge.SMOOTHED
    for series in range(shape[0]):
        rows = slice(int(windows.offsets[series]), int(windows.offsets[series + 1]))
        columns = (windows.t_ms[rows], windows.values[rows], starts.start_ms[rows])
        points = [Point(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]
        times = [p.t for p in points]
        for step, right in enumerate(windows.ends.tolist()):
            left = right - windows.range_ms
            window = Window(left, right, left - windows.lookback_ms, smoothed)
            stop = bisect_right(times, right + (windows.lookback_ms if smoothed else 0))
            grown = _grown(points[bisect_right(times, window.back) : stop], window)
            if grown is not None:
                out[series, step] = grown / (windows.range_ms / 1000 if is_rate else 1.0)
                present[series, step] = True
    return out, present


def _grown(points: Sequence[Point], w: Window) -> float | None:
    """What a counter grew by in a window; None where that cannot be said."""
    if not points:
        return None
    times, last = [p.t for p in points], len(points) - 1
    first = max(0, bisect_right(times, w.left, 0, last) - 1)
    if w.smoothed:
        last = bisect_left(times, w.right, 0, last)
    if times[last] <= w.left:
        return None
    head = points[first]
    if w.smoothed and head.t > w.right and not (_begins(head, w.back) and not _begins(head, w.right)):
        return None
    before = low = _at_left(points, first, w)
    high = _at_right(points, last, w)
    grown = high.value - low.value
    inner = points[first + (times[first] <= w.left) : last + (times[last] < w.right)]
    for point in (*inner, high):
        if point.value < before.value or is_reset(before, point):
            grown += before.value
        before = point
    return grown


def is_reset(before: Point, now: Point) -> bool:
    """Whether a sample began to count after the one before it, by its start."""
    if now.start in (before.start, 0) or now.start >= now.t or now.start < before.t:
        return False
    return now.start > before.t or (before.start < before.t and before.start != 0)


def _begins(point: Point, after: int) -> bool:
    """Whether a sample's known start lies after a time."""
    return after < point.start < point.t


def _line(a: Point, b: Point, t: int) -> float:
    """The counter at a time between two samples; one that fell began from zero."""
    low = 0.0 if b.value < a.value else a.value
    return low + (b.value - low) * (t - a.t) / (b.t - a.t)


def _at_left(points: Sequence[Point], first: int, w: Window) -> Point:
    """The counter where the window begins."""
    head = points[first]
    start = head.start if head.start <= w.left else 0
    if head.t == w.left:
        return Point(w.left, head.value, head.start)
    if head.t > w.left:  # nothing was seen before
        return Point(w.left, _before_first(head, w.left, w), start)
    following = points[first + 1]
    if _begins(following, w.left):
        following = Point(following.start, 0.0, 0)
    elif is_reset(head, following):
        head, start = Point(following.start, 0.0, 0), following.start
    return Point(w.left, _line(head, following, w.left) if w.smoothed else head.value, start)


def _at_right(points: Sequence[Point], last: int, w: Window) -> Point:
    """The counter where the window ends."""
    tail = points[last]
    start = tail.start if tail.start <= w.right else 0
    if tail.t <= w.right:
        return Point(w.right, tail.value, start)
    if last == 0:
        return Point(w.right, _before_first(tail, w.right, w), start)
    before = points[last - 1]
    if _begins(tail, w.right):
        tail, start = Point(tail.start, 0.0, 0), before.start
    elif is_reset(before, tail):
        before = Point(tail.start, 0.0, 0)
    return Point(w.right, _line(before, tail, w.right) if w.smoothed else before.value, start)


def _before_first(head: Point, edge: int, w: Window) -> float:
    """The counter at an edge before the first sample: on the way from a zero at its start, if that lies in reach."""
    if not _begins(head, w.back):
        return head.value
    if _begins(head, edge) or not w.smoothed:
        return 0.0
    return _line(Point(head.start, 0.0, 0), head, edge)
