"""count_values: one series per group and distinct value, the value in a label."""

from __future__ import annotations

import numpy as np

from obs.model.labels import Labels, make_labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.formatting import go_plain
from obs.tsdb.promql.operators.folds import Groups
from obs.tsdb.promql.plan import Aggregate
from obs.tsdb.promql.values import Vector, without


def count_values(frame: Frame, node: Aggregate, vector: Vector, groups: Groups) -> Vector:
    """How often each value occurs in each group, at each step."""
    assert node.param is not None
    label = frame.text(node.param)
    known: dict[Labels, int] = {}
    rows, cols = np.nonzero(vector.present)
    target = np.zeros(len(rows), np.int64)
    drops: dict[int, bool] = {}
    texts: dict[tuple[int, str], int] = {}
    for n, (row, col) in enumerate(zip(rows.tolist(), cols.tolist(), strict=True)):
        hist = None if vector.hists is None else vector.hists[row, col]
        text = go_plain(float(vector.values[row, col])) if hist is None else str(hist)
        group = int(groups.group[row])
        if (group, text) not in texts:
            value = () if node.without and label in node.labels else ((label, text),)
            labels = make_labels([*without(groups.labels[group], (label,)), *value])
            texts[group, text] = known.setdefault(labels, len(known))
        target[n] = texts[group, text]
        drops[texts[group, text]] = drops.get(texts[group, text], False) or bool(vector.drop_name[row])
    counts = np.zeros((len(known), vector.values.shape[1]))
    np.add.at(counts, (target, cols), 1)
    drop = np.array([drops[i] for i in range(len(known))], np.bool_)
    return Vector(list(known), counts, counts > 0, drop)
