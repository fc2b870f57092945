"""Native histograms in windows of `anchored` and `smoothed` selectors, as `kernels_edges` has it for floats.

A window is worked out from rows first…last, which may lie beyond its edges: an anchored one takes the row before its
left edge as it is, a smoothed one a histogram between the rows around each edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from obs.tsdb.promql.annotations import MIXED_BUCKETS, maybe_of
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.histogram_rates import Rates
from obs.tsdb.promql.functions.histogram_windows import Window
from obs.tsdb.promql.histogram import GAUGE, Histogram
from obs.tsdb.promql.histogram_sums import Incompatible, add, detect_reset
from obs.tsdb.promql.plan import Call, Edge, Selector
from obs.tsdb.promql.values import I64, Bool, Objects, Windows, is_hist, metric_name


def each_window(windows: Windows) -> Iterator[Window]:
    """Every window that is worked out from a histogram; its rows are those."""
    from obs.tsdb.promql.kernels_edges import all_edge_rows

    assert windows.hists is not None
    smoothed = windows.edge is Edge.SMOOTHED
    first, last = all_edge_rows(
        windows.offsets, windows.t_ms, windows.ends, windows.range_ms, windows.lookback_ms, smoothed
    )
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_hist(windows.hists), dtype=np.int64)])
    inside = np.where(last >= first, before[last + 1] - before[first], 0)
    for series, step in zip(*(a.tolist() for a in np.nonzero(inside)), strict=True):
        yield Window(series, step, int(first[series, step]), int(last[series, step]) + 1, int(inside[series, step]))


def each_unmixed(windows: Windows) -> Iterator[Window]:
    """The same, and every window within whose reach floats and histograms meet; these as if they held both."""
    from obs.tsdb.promql.kernels_windows import rows_over_time

    assert windows.hists is not None
    beyond = windows.lookback_ms if windows.edge is Edge.SMOOTHED else 0
    reach_ms = windows.range_ms + windows.lookback_ms + beyond
    first, stop = rows_over_time(windows.offsets, windows.t_ms, windows.ends + beyond, reach_ms)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_hist(windows.hists), dtype=np.int64)])
    hists = before[stop] - before[first]
    mixed = (hists > 0) & (hists < stop - first)
    yield from (w for w in each_window(windows) if not mixed[w.series, w.step])
    for series, step in zip(*(a.tolist() for a in np.nonzero(mixed)), strict=True):
        yield Window(series, step, int(first[series, step]), int(stop[series, step]), int(hists[series, step]))


def increase(frame: Frame, call: Call, windows: Windows, w: Window, is_counter: bool) -> Histogram | None:
    """What a window's histograms grew by between its edges."""
    rates = Rates(frame, call, windows)
    points: list[Histogram] = list(rates.hists[w.lo : w.hi])
    rates.check_hints(w, points, is_counter)
    if any(p.is_custom != points[0].is_custom for p in points):
        rates.warn_mixed(w)
        return None
    right = int(windows.ends[w.step])
    left = right - windows.range_ms
    t_ms = windows.t_ms[w.lo : w.hi]
    several, smoothed = len(points) > 1, windows.edge is Edge.SMOOTHED
    cut_left = several and smoothed and t_ms[0] < left
    cut_right = several and smoothed and t_ms[-1] > right
    low = between(points[0], points[1], _share(t_ms, 0, left), is_counter) if cut_left else points[0]
    high = between(points[-2], points[-1], _share(t_ms, -2, right), is_counter) if cut_right else points[-1]
    result = rates.combined(high, low, -1.0)
    # A reset inside the pair that an edge lies in is dealt with there.
    for i in range(2 if cut_left else 1, len(points)) if is_counter else ():
        if detect_reset(points[i], points[i - 1]):
            result = rates.combined(result, points[i - 1], 1.0)
    return result.with_hint(GAUGE).compact()


def _share(t_ms: I64, at: int, edge_ms: int) -> float:
    return float((edge_ms - t_ms[at]) / (t_ms[at + 1] - t_ms[at]))


def between(a: Histogram, b: Histogram, share: float, is_counter: bool) -> Histogram:
    """A histogram on the way from one to the next; one that began anew did so from nothing. Raises: Incompatible."""
    if a.is_custom != b.is_custom:
        raise Incompatible
    if is_counter and detect_reset(b, a):
        return b.scale(share)
    return add(a, add(b, a, -1.0).value.with_hint(a.hint).scale(share)).value.with_hint(a.hint)


def smoothed_samples(frame: Frame, node: Selector, series: Windows, present: Bool) -> tuple[Bool, Objects]:
    """Where a smoothed selector has samples, and the histograms among them; `series` has its samples and steps."""
    assert series.hists is not None
    present, found = present.copy(), np.full(present.shape, None, np.object_)
    reach = replace(series, range_ms=0, edge=Edge.SMOOTHED)
    for w in each_unmixed(reach):
        if 0 < w.hists < w.hi - w.lo and present[w.series, w.step]:
            text = f"encountered a mix of histograms and floats{maybe_of(metric_name(series.labels[w.series]))}"
            frame.query.annotations.warn(node, text)
            present[w.series, w.step] = False
    for row, step in zip(*(a.tolist() for a in np.nonzero(present)), strict=True):
        start, stop = int(series.offsets[row]), int(series.offsets[row + 1])
        at_ms = int(series.ends[step])
        after = start + int(np.searchsorted(series.t_ms[start:stop], at_ms, "right"))
        sample = series.hists[after - 1]
        if after < stop and series.t_ms[after - 1] < at_ms and series.t_ms[after] <= at_ms + series.lookback_ms:
            sample = _smoothed(frame, node, series, row, after, at_ms)
        present[row, step] = sample is not False
        found[row, step] = sample or None
    return present, found


def _smoothed(
    frame: Frame, node: Selector, series: Windows, row: int, after: int, at_ms: int
) -> Histogram | Literal[False] | None:
    """The histogram between two rows; None between floats, False where the two do not go together."""
    assert series.hists is not None
    before, now = series.hists[after - 1], series.hists[after]
    if before is None and now is None:
        return None
    cause = "encountered a mix of histograms and floats"
    if before is not None and now is not None:
        try:
            return between(before, now, _share(series.t_ms, after - 1, at_ms), now.hint != GAUGE)
        except Incompatible:
            cause = MIXED_BUCKETS
    frame.query.annotations.warn(node, f"{cause}{maybe_of(metric_name(series.labels[row]))}")
    return False


def framed(windows: Windows) -> Windows:
    """The samples that the window at the only step stands for: one at either edge, and those between. Floats only."""
    from obs.tsdb.promql.kernels_edges import all_edge_rows, between

    w = windows.only_floats()
    smoothed, right = w.edge is Edge.SMOOTHED, int(w.ends[0])
    left = right - w.range_ms
    first, last = all_edge_rows(w.offsets, w.t_ms, w.ends, w.range_ms, w.lookback_ms, smoothed)
    offsets, times, values = [0], list[int](), list[float]()
    for a, b in zip(first[:, 0].tolist(), last[:, 0].tolist(), strict=True):
        if b >= a:
            cut_left, cut_right = smoothed and a < b and w.t_ms[a] < left, smoothed and a < b and w.t_ms[b] > right
            inner = [row for row in range(a, b + 1) if left < w.t_ms[row] < right]
            low = between(w.t_ms, w.values, a, left, False) if cut_left else float(w.values[a])
            high = between(w.t_ms, w.values, b - 1, right, False) if cut_right else float(w.values[b])
            times += [left, *w.t_ms[inner].tolist(), right]
            values += [low, *w.values[inner].tolist(), high]
        offsets.append(len(times))
    return replace(w, offsets=np.array(offsets, np.int64), t_ms=np.array(times, np.int64), values=np.array(values))
