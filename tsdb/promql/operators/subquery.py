"""Subqueries: an expression evaluated on a grid of its own; its points are the samples of a range vector.

The grid's times are multiples of its step, so that it does not move with the query's start.
"""

from __future__ import annotations

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.histogram import NOT_RESET, RESET, UNKNOWN
from obs.tsdb.promql.operators.selector import ends
from obs.tsdb.promql.plan import Node, Subquery
from obs.tsdb.promql.values import I64, Objects, Scalar, Steps, Vector, Windows, merge_same, order_of


def subquery(frame: Frame, node: Node) -> Windows:
    """The windows over the inner expression's points."""
    assert isinstance(node, Subquery)
    inner, look = grid(frame, node)
    frame.query.make_room(inner.steps.count)
    if inner.steps.count == 0:
        return _points(_nothing(), inner.steps, look, node.range_ms, frame.steps.count)
    value = inner.value(node.expr)
    if isinstance(value, Scalar):
        value = Vector([()], value.values[None, :], np.ones((1, len(value.values)), np.bool_), np.zeros(1, np.bool_))
    assert isinstance(value, Vector)
    if inner.steps.count == 1:
        value = merge_same(value)
    frame.query.charge(int(value.present.sum()))
    return _points(value, inner.steps, look, node.range_ms, frame.steps.count)


def grid(frame: Frame, node: Subquery) -> tuple[Frame, I64]:
    """The frame that the inner expression is evaluated on, and where the windows over its points end."""
    look = ends(frame, node.offset_ms, node.at)
    step = node.step_ms or frame.query.options.subquery_step_ms
    left = int(look[0]) - node.range_ms
    first = (left // step + 1) * step  # the first multiple past the open left edge
    return frame.on(Steps(first, int(look[-1]), step)), look


def _forgetful(hists: Objects) -> Objects:
    """Without counter reset hints: the neighbours that they speak of are not the neighbours here."""
    out = np.full(len(hists), None, np.object_)
    for i, hist in enumerate(hists):
        out[i] = hist.with_hint(UNKNOWN) if hist is not None and hist.hint in (RESET, NOT_RESET) else hist
    return out


def _nothing() -> Vector:
    return Vector([], np.zeros((0, 0)), np.zeros((0, 0), np.bool_), np.zeros(0, np.bool_))


def _points(value: Vector, steps: Steps, look: np.ndarray, range_ms: int, width: int) -> Windows:
    value = value.rows(order_of(value.labels))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(value.present.sum(axis=1), dtype=np.int64)])
    times = np.broadcast_to(steps.times, value.present.shape)[value.present]
    hists = None if value.hists is None else _forgetful(value.hists[value.present])
    samples = value.values[value.present]
    return Windows(value.labels, offsets, times, samples, look, range_ms, width, value.drop_name, hists)
