"""How many samples a query looks at, step by step, as Prometheus counts them in its statistics.

Only for who asks: the selectors of the plan are read once more, plainly, since evaluation takes short cuts (reads last
samples only, works out of a window what is new in it, keeps earlier answers). A native histogram counts as one.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/, "stats".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators import selector, subquery
from obs.tsdb.promql.plan import Call, Node, RangeSelector, Selector, Subquery, unwrap
from obs.tsdb.promql.values import I64, Windows

MOST_SERIES = 4_096
"""Series that are counted at one time: their windows are two numbers a step each."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of each step the samples that it looks at, and those of them that no step before it has looked at."""

    looked_at: I64
    read: I64

    def plus(self, other: Counts) -> Counts:
        """Of both."""
        return Counts(self.looked_at + other.looked_at, self.read + other.read)


def counts(frame: Frame, node: Node) -> Counts:
    """Those of an expression on a frame's steps. Raises: QueryLimit, QueryTimeout."""
    node = unwrap(node)
    if isinstance(node, Selector):
        return _selected(frame, node)
    if isinstance(node, RangeSelector):
        return _windows(frame, node)
    if isinstance(node, Subquery):
        return _subquery(frame, node, of_call=False)
    found = Counts(np.zeros(frame.steps.count, np.int64), np.zeros(frame.steps.count, np.int64))
    for child in node.children:
        if isinstance(node, Call) and isinstance(unwrap(child), Subquery):
            found = found.plus(_subquery(frame, unwrap(child), of_call=True))
        else:
            found = found.plus(counts(frame, child))
    return found


def _selected(frame: Frame, node: Selector) -> Counts:
    """One sample of each series that has one."""
    look = selector.ends(frame, node.offset_ms, node.at)
    first_ms, last_ms = int(look[0]) - frame.query.options.lookback_ms + 1, int(look[-1])
    total = np.zeros(frame.steps.count, np.int64)
    with frame.query.selection(node.matchers, first_ms, last_ms, MOST_SERIES, node.pos, False) as parts:
        for part in parts:
            total += selector.last_of(frame, part.read(), look).present.sum(axis=0)
    return Counts(total, _once(frame, total) if len(look) < frame.steps.count else total)


def _windows(frame: Frame, node: RangeSelector) -> Counts:
    """The samples in each window."""
    first_ms, last_ms = selector.reach(frame, node)
    inner, found = node.selector, Counts(*(np.zeros(frame.steps.count, np.int64) for _ in range(2)))
    with frame.query.selection(inner.matchers, first_ms, last_ms, MOST_SERIES, inner.pos, False) as parts:
        for part in parts:
            found = found.plus(_in_windows(frame, selector.windows_of(frame, node, part.read())))
    return found


def _in_windows(frame: Frame, windows: Windows) -> Counts:
    """Each step's window, and the part of it that lies after the window before."""
    total = _sizes(windows, windows.range_ms)
    if len(windows.ends) < frame.steps.count:
        total = np.repeat(total, frame.steps.count)
        return Counts(total, _once(frame, total))
    fresh = _sizes(windows, min(windows.range_ms, frame.steps.step_ms or windows.range_ms))
    fresh[:1] = total[:1]
    return Counts(total, fresh)


def _sizes(windows: Windows, range_ms: int) -> I64:
    from obs.tsdb.promql.kernels_windows import rows_over_time

    first, stop = rows_over_time(windows.offsets, windows.t_ms, windows.ends, range_ms)
    return np.asarray((stop - first).sum(axis=0), np.int64)


def _once(frame: Frame, total: I64) -> I64:
    """What is the same at every step is read at the first."""
    return np.where(np.arange(frame.steps.count) == 0, total, 0)


def _subquery(frame: Frame, node: Node, of_call: bool) -> Counts:
    """What a function sees of a subquery are its points; alone it is what its expression looks at."""
    assert isinstance(node, Subquery)
    inner, look = subquery.grid(frame, node)
    below = counts(inner, node.expr)
    read = np.zeros(frame.steps.count, np.int64)
    at = np.minimum(np.searchsorted(look, inner.steps.times), len(look) - 1)  # the first step to see a point
    np.add.at(read, at, below.read)
    if of_call:
        windows = frame.windows(node)
        total = _sizes(windows, windows.range_ms)
        return Counts(np.broadcast_to(total, read.shape).copy(), read)
    return Counts(np.full(len(read), below.looked_at.sum()), read)
