"""Aggregations: rows of a vector → groups of labels. The families (fold, select, count_values) are beside this file.

Grouping is worked out once on the labels; where the input is a function over windows it comes in slices of series, so
that memory stays bounded however long the range is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from obs.model.labels import Labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators import folds, picks, value_counts
from obs.tsdb.promql.operators.signature import Signature, by, excluding, ordinals
from obs.tsdb.promql.operators.slices import slices
from obs.tsdb.promql.plan import Aggregate, Node
from obs.tsdb.promql.values import Bool, Vector, merge_same

AGGREGATORS: dict[str, Callable[[Frame, Aggregate, Vector, folds.Groups], Vector]] = {
    "topk": picks.topk,
    "bottomk": picks.bottomk,
    "limitk": picks.limitk,
    "limit_ratio": picks.limit_ratio,
    "quantile": picks.quantile,
    "count_values": value_counts.count_values,
}


def aggregate(frame: Frame, node: Node) -> Vector:
    """The aggregated vector."""
    assert isinstance(node, Aggregate)
    signature = excluding(node.labels) if node.without else by(node.labels)
    known: dict[Labels, int] = {}
    if node.op in folds.FOLDS:
        return _folded(frame, node, signature, known)
    vector = picks.candidates(frame, node) if picks.is_ranking(frame, node) else frame.vector(node.expr)
    group = ordinals(vector.labels, signature, known)
    result = AGGREGATORS[node.op](frame, node, vector, folds.Groups(list(known), group))
    return result.compact()


def _folded(frame: Frame, node: Aggregate, signature: Signature, known: dict[Labels, int]) -> Vector:
    fold = folds.FOLDS[node.op](frame, node)
    drops: list[Bool] = []
    groups: list[np.ndarray] = []
    for part in slices(frame, node.expr):
        group = ordinals(part.labels, signature, known)
        fold.take(part, group, len(known))
        drops.append(part.drop_name)
        groups.append(group)
        frame.query.check_time()
    labels = list(known)
    cells = fold.result(len(labels))
    drop = _any_drop(drops, groups, len(labels))
    return merge_same(Vector(labels, cells.values, cells.present, drop, cells.hists).compact())


def _any_drop(drops: Sequence[Bool], groups: Sequence[np.ndarray], count: int) -> Bool:
    """A group's name goes where the name of any of its series does."""
    drop = np.zeros(count, np.bool_)
    for part, group in zip(drops, groups, strict=True):
        drop[group[part]] = True
    return drop
