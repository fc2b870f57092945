"""Functions over windows that hold native histograms: what each makes of floats and histograms side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from obs.tsdb.promql.annotations import MIXED_BUCKETS, maybe_of
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.histogram_sums import Incompatible, Total, detect_reset
from obs.tsdb.promql.plan import Call, Node, RangeSelector, Subquery, unwrap
from obs.tsdb.promql.values import F64, Bool, Vector, Windows, is_hist, metric_name


class Window(NamedTuple):
    """One window of one series: rows lo:hi, and how many of them are histograms."""

    series: int
    step: int
    lo: int
    hi: int
    hists: int


def each_window(windows: Windows) -> Iterator[Window]:
    """All windows that hold a histogram."""
    from obs.tsdb.promql.kernels_windows import rows_over_time

    assert windows.hists is not None
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_hist(windows.hists), dtype=np.int64)])
    first, last = rows_over_time(windows.offsets, windows.t_ms, windows.ends, windows.range_ms)
    inside = before[last] - before[first]
    for series, step in zip(*(a.tolist() for a in np.nonzero(inside)), strict=True):
        yield Window(series, step, int(first[series, step]), int(last[series, step]), int(inside[series, step]))


def range_node(call: Call) -> Node:
    """The argument that is the range vector. What is said of a subquery stands at 1:1, as Prometheus has it."""
    found = next(a for a in call.args if isinstance(unwrap(a), RangeSelector | Subquery))
    inner = unwrap(found)
    return replace(inner, pos=0) if isinstance(inner, Subquery) else inner


def drop_histograms(frame: Frame, call: Call, windows: Windows) -> Windows:
    """Floats alone, with an info where a window holds both."""
    for w in each_window(windows):
        if w.hists < w.hi - w.lo:
            name = metric_name(windows.labels[w.series])
            text = f"ignored histograms in a range containing both floats and histograms{maybe_of(name)}"
            at = call.args[0] if call.name == "quantile_over_time" else range_node(call)
            frame.query.annotations.info(at, text)
    return windows.only_floats()


def mixed(frame: Frame, call: Call, windows: Windows, w: Window) -> bool:
    """Whether a window holds floats too; then it has no result, and a warning says so."""
    if w.hists == w.hi - w.lo:
        return False
    name = metric_name(windows.labels[w.series])
    text = f"encountered a mix of histograms and floats{maybe_of(name)}"
    frame.query.annotations.warn(range_node(call), text)
    return True


def with_histograms(
    frame: Frame,
    call: Call,
    windows: Windows,
    floats: Callable[[Windows], tuple[F64, Bool]],
    one: Callable[[Window], Histogram | None],
    each: Callable[[Windows], Iterator[Window]] = each_window,
) -> tuple[Vector, F64]:
    """Floats by a kernel, histograms by `one`, where a window has only these; nothing where it has both."""
    values, present = floats(windows.only_floats())
    present = present.copy()
    hists = np.full(present.shape, None, np.object_)
    for w in each(windows):
        present[w.series, w.step] = False
        if mixed(frame, call, windows, w):
            continue
        outcome = one(w)
        if outcome is not None:
            hists[w.series, w.step], present[w.series, w.step] = outcome, True
    drop = np.ones(windows.series, np.bool_)
    widen = windows.widen
    vector = Vector(windows.labels, widen(values), widen(present), drop, widen(hists))
    return vector.compact(), values


def summed(frame: Frame, call: Call, windows: Windows, name: str) -> Vector:
    """sum_over_time and avg_over_time."""
    from obs.tsdb.promql import kernels_windows

    assert windows.hists is not None
    rows = windows.hists
    notes, node = frame.query.annotations, range_node(call)

    def floats(w: Windows) -> tuple[F64, Bool]:
        return getattr(kernels_windows, name)(w.offsets, w.t_ms, w.values, w.ends, w.range_ms)

    def one(w: Window) -> Histogram | None:
        total = Total(rows[w.lo])
        for row in range(w.lo + 1, w.hi):
            try:
                outcome = total.add(rows[row])
            except Incompatible:
                notes.warn(node, f"{MIXED_BUCKETS}{maybe_of(metric_name(windows.labels[w.series]))}")
                return None
            if outcome.reconciled:
                notes.info(node, "mismatched custom buckets were reconciled during aggregation")
        if total.hints_collide:
            notes.warn(node, "conflicting counter resets during histogram aggregation")
        return (total.mean() if name == "avg_over_time" else total.sum()).compact()

    return with_histograms(frame, call, windows, floats, one)[0]


def turns(
    windows: Windows,
    falls_only: bool,
    floats: Callable[[Windows], tuple[F64, Bool]],
    each: Callable[[Windows], Iterator[Window]] = each_window,
    anew: Bool | None = None,
) -> Vector:
    """changes and resets over floats and histograms in turn: from one kind to the other counts as both.

    `anew`: the samples that begin anew by their start timestamps.
    """
    out, present = floats(windows.only_floats())
    for window in each(windows):
        rows = range(window.lo + 1, window.hi)
        turned = (_turn(windows, row, falls_only) or (anew is not None and bool(anew[row])) for row in rows)
        out[window.series, window.step] = sum(turned)
        present[window.series, window.step] = True
    drop = np.ones(windows.series, np.bool_)
    return Vector(windows.labels, windows.widen(out), windows.widen(present), drop).compact()


def _turn(windows: Windows, row: int, falls_only: bool) -> bool:
    assert windows.hists is not None
    before, now = windows.hists[row - 1], windows.hists[row]
    if isinstance(before, Histogram) and isinstance(now, Histogram):
        return detect_reset(now, before) if falls_only else not now.same(before)
    if isinstance(before, Histogram) or isinstance(now, Histogram):
        return True
    a, b = float(windows.values[row - 1]), float(windows.values[row])
    return b < a or (not falls_only and a != b and not (np.isnan(a) and np.isnan(b)))
