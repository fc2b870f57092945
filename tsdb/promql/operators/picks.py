"""Aggregations that pick samples of each group (topk, bottomk, limitk, limit_ratio), and quantile over a group.

The parameter is a scalar of its own at each step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from obs.errors import QueryError
from obs.model.labels import Labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.hashing import labels_hash
from obs.tsdb.promql.operators.folds import Groups, ignore_histograms
from obs.tsdb.promql.operators.signature import by_group
from obs.tsdb.promql.operators.slices import in_order, in_slices, slices
from obs.tsdb.promql.plan import Aggregate, Number
from obs.tsdb.promql.values import F64, I64, Bool, Vector


def topk(frame: Frame, node: Aggregate, vector: Vector, groups: Groups) -> Vector:
    """The k largest of each group."""
    return _extremes(frame, node, vector, groups, 1.0)


def bottomk(frame: Frame, node: Aggregate, vector: Vector, groups: Groups) -> Vector:
    """The k smallest of each group."""
    return _extremes(frame, node, vector, groups, -1.0)


def _extremes(frame: Frame, node: Aggregate, vector: Vector, groups: Groups, sign: float) -> Vector:
    from obs.tsdb.promql.kernels_groups import pick

    k = _whole(frame, node)
    if bool((k > 0).any()):
        ignore_histograms(frame, node, vector)
    vector = vector.only_floats()
    order, bounds = by_group(groups.group, len(groups.labels))
    chosen = pick(vector.values, vector.present, order, bounds, k, sign)
    result = replace(vector, present=chosen)
    return _ranked(result, groups, sign) if frame.steps.count == 1 else result


def _ranked(vector: Vector, groups: Groups, sign: float) -> Vector:
    """At a single step the picked come out group by group, best first."""
    keys = vector.values[:, 0] * -sign
    order = np.lexsort((np.where(np.isnan(keys), np.inf, keys), groups.group)) if len(keys) else np.zeros(0, np.int64)
    return vector.rows(order[vector.present[order, 0]])


def is_ranking(frame: Frame, node: Aggregate) -> bool:
    """Whether a few samples of one step are picked from all series, so that most need no look at their labels."""
    one_group = node.op in ("topk", "bottomk") and not node.labels and not node.without
    return one_group and frame.steps.count == 1 and isinstance(node.param, Number) and in_slices(node.expr)


def candidates(frame: Frame, node: Aggregate) -> Vector:
    """Of a vector at one step, sorted by labels, at least those series that topk or bottomk picks, ties among them."""
    k = int(_whole(frame, node)[0])
    parts: list[Vector] = []
    for part in slices(frame, node.expr):
        if k > 0:
            ignore_histograms(frame, node, part)
        parts.append(_outermost(part.only_floats().compact(), k, 1.0 if node.op == "topk" else -1.0))
    return in_order(parts, 1)


def _outermost(vector: Vector, k: int, sign: float) -> Vector:
    """The series with the k largest (smallest) values at the one step, and those with equal ones; NaN comes last."""
    if not 0 < k < len(vector.labels):
        return vector
    keys = vector.values[:, 0] * -sign
    keys = np.where(np.isnan(keys), np.inf, keys)
    return vector.rows(keys <= np.partition(keys, k - 1)[k - 1])


def limitk(frame: Frame, node: Aggregate, vector: Vector, groups: Groups) -> Vector:
    """The first k of each group, histograms too."""
    k = _whole(frame, node)
    before = np.zeros_like(vector.values, dtype=np.int64)
    counts = np.zeros((len(groups.labels), vector.values.shape[1]), np.int64)
    for row, g in enumerate(groups.group.tolist()):
        before[row] = counts[g]
        counts[g] += vector.present[row]
    return replace(vector, present=vector.present & (before < k[None, :]))


def limit_ratio(frame: Frame, node: Aggregate, vector: Vector, groups: Groups) -> Vector:
    """The share of series whose hash falls under the ratio; a negative ratio picks the complement."""
    ratio = _param(frame, node)
    if bool(np.isnan(ratio).any()):
        raise QueryError("Ratio value is NaN")
    assert node.param is not None
    for value in ratio[np.abs(ratio) > 1].tolist():
        capped = 1.0 if value > 0 else -1.0
        message = f"ratio value should be between -1 and 1, got {value:g}, capping to {capped:g}"
        frame.query.annotations.warn(node.param, message)
    share = np.array([_share(ls) for ls in vector.labels])[:, None] if len(vector.labels) else np.zeros((0, 1))
    r = np.clip(ratio, -1, 1)[None, :]
    chosen: Bool = np.where(r >= 0, share < r, share >= 1 + r)
    return replace(vector, present=vector.present & chosen)


def _share(labels: Labels) -> float:
    """A series' place in [0, 1), the same in every query."""
    return labels_hash(labels) / (2**64 - 1)


def quantile(frame: Frame, node: Aggregate, vector: Vector, groups: Groups) -> Vector:
    """The q-quantile of each group's floats."""
    from obs.tsdb.promql.kernels_groups import fold_quantile

    q = _param(frame, node)
    assert node.param is not None
    for value in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]).tolist():
        message = f"quantile value should be between 0 and 1, got {go_general(value)}"
        frame.query.annotations.warn(node.param, message)
    ignore_histograms(frame, node, vector)
    vector = vector.only_floats()
    order, bounds = by_group(groups.group, len(groups.labels))
    values, present = fold_quantile(vector.values, vector.present, order, bounds, q)
    drop = np.zeros(len(groups.labels), np.bool_)
    drop[groups.group[vector.drop_name]] = True
    return Vector(groups.labels, values, present, drop)


def _param(frame: Frame, node: Aggregate) -> F64:
    assert node.param is not None
    return frame.scalar(node.param).values


def _whole(frame: Frame, node: Aggregate) -> I64:
    """The parameter as whole numbers; Raises: QueryError where it is none."""
    values = _param(frame, node)
    if bool(np.isnan(values).any()):
        raise QueryError("Parameter value is NaN")
    if len(over := values[values >= 2**63]):
        raise QueryError(f"Scalar value {go_general(float(over[0]))} overflows int64")
    return np.maximum(values, -1.0).astype(np.int64)
