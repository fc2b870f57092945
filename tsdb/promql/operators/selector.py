"""Selectors: series from the source, as instant vectors (last sample within the lookback) or as windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from obs.model.labels import Matcher
from obs.model.ports import SeriesSet
from obs.model.stale import STALE_BITS
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.plan import At, Edge, Node, RangeSelector, Selector
from obs.tsdb.promql.values import F64, I64, Bool, Objects, Vector, Windows


def ends(frame: Frame, offset_ms: int, at: At) -> I64:
    """Where each step looks: its own time or the fixed one, less the offset. One entry where it is fixed."""
    fixed = frame.fixed(at)
    times = frame.steps.times if fixed is None else np.array([fixed], np.int64)
    return times - offset_ms


@dataclass(frozen=True, slots=True)
class Found:
    """An instant selection before it becomes a vector: the sample row each step found."""

    series: SeriesSet
    values: F64
    rows: I64
    present: Bool


def find(frame: Frame, node: Selector) -> Found:
    """The last sample of each series at each step."""
    return find_at(frame, node.matchers, ends(frame, node.offset_ms, node.at), node.pos)


def find_at(frame: Frame, matchers: Sequence[Matcher], look: I64, pos: int = -1) -> Found:
    """The last sample of each series at the times `look` (one for all steps, or one each)."""
    lookback = frame.query.options.lookback_ms
    return last_of(frame, frame.query.select(matchers, int(look[0]) - lookback + 1, int(look[-1]), pos), look)


def last_of(frame: Frame, series: SeriesSet, look: I64) -> Found:
    """The last sample within the lookback of each series at the times `look`."""
    from obs.tsdb.promql import kernels

    frame.query.make_room(frame.steps.count, len(series.labels))
    lookback = frame.query.options.lookback_ms
    bits = series.values.view(np.int64)
    values, rows, present = kernels.last_sample(series.offsets, series.t_ms, series.values, bits, look, lookback)
    width = frame.steps.count
    if len(look) != width:
        values, rows, present = (np.repeat(a, width, axis=1) for a in (values, rows, present))
    return Found(series, values, rows, present)


def instant(frame: Frame, node: Node) -> Vector:
    """An instant vector selector."""
    assert isinstance(node, Selector)
    if node.edge is Edge.SMOOTHED:
        return _smoothed(frame, node)
    return vector_of(find(frame, node))


def vector_of(found: Found) -> Vector:
    """The samples that were found, as an instant vector."""
    all_hists = found.series.hists
    hists = None
    if all_hists is not None and len(all_hists):
        hists = np.where(found.present, all_hists[found.rows], np.array(None))
    keep = np.zeros(len(found.series.labels), np.bool_)
    return Vector(found.series.labels, found.values, found.present, keep, hists).compact()


def _smoothed(frame: Frame, node: Selector) -> Vector:
    """Samples on the line between those around each step."""
    from obs.tsdb.promql import kernels_edges

    look = ends(frame, node.offset_ms, node.at)
    lookback = frame.query.options.lookback_ms
    found = frame.query.select(node.matchers, int(look[0]) - lookback + 1, int(look[-1]) + lookback, node.pos)
    offsets, t_ms, values, hists = _without_stale(found)
    keep = np.zeros(len(found.labels), np.bool_)
    series = Windows(
        found.labels, offsets, t_ms, values, look, lookback, frame.steps.count, keep, hists, lookback_ms=lookback
    )
    out, present = kernels_edges.smoothed_sample(offsets, t_ms, values, look, lookback)
    vector = Vector(found.labels, series.widen(out), series.widen(present), keep)
    if hists is not None:
        from obs.tsdb.promql.functions.histogram_edges import smoothed_samples

        present, between = smoothed_samples(frame, node, series, present)
        vector = replace(vector, present=series.widen(present), hists=series.widen(between))
    return vector.compact()


def windows(frame: Frame, node: Node) -> Windows:
    """A range vector selector."""
    assert isinstance(node, RangeSelector)
    first_ms, last_ms = reach(frame, node)
    return windows_of(frame, node, frame.query.select(node.selector.matchers, first_ms, last_ms, node.selector.pos))


def reach(frame: Frame, node: RangeSelector) -> tuple[int, int]:
    """The first and the last time that any window may look at."""
    look = ends(frame, node.selector.offset_ms, node.selector.at)
    before = _edge_ms(frame, node)
    behind = before if node.selector.edge is Edge.SMOOTHED else 0
    return int(look[0]) - node.range_ms - before + 1, int(look[-1]) + behind


def windows_of(frame: Frame, node: RangeSelector, found: SeriesSet) -> Windows:
    """The windows over series that were selected."""
    look = ends(frame, node.selector.offset_ms, node.selector.at)
    offsets, t_ms, values, hists = _without_stale(found)
    keep = np.zeros(len(found.labels), np.bool_)
    before, edge, width = _edge_ms(frame, node), node.selector.edge, frame.steps.count
    frame.query.make_room(width, len(found.labels))
    return Windows(found.labels, offsets, t_ms, values, look, node.range_ms, width, keep, hists, edge, before)


def _edge_ms(frame: Frame, node: RangeSelector) -> int:
    return 0 if node.selector.edge is Edge.NONE else frame.query.options.lookback_ms


def _without_stale(found: SeriesSet) -> tuple[I64, I64, F64, Objects | None]:
    hists = found.hists
    live = found.values.view(np.int64) != STALE_BITS
    if bool(live.all()):
        return found.offsets, found.t_ms, found.values, hists
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(live, dtype=np.int64)])
    kept = None if hists is None else hists[live]
    return before[found.offsets], found.t_ms[live], found.values[live], kept
