"""Arithmetic and comparison between two vectors: series pair up by signature; every pair is one row of the result.

The "one" side must have at most one sample per signature and step, and so must the result; the errors say which.
Source: https://prometheus.io/docs/prometheus/latest/querying/operators/#vector-matching
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from obs.errors import QueryError
from obs.model.labels import Labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators.arithmetic import COMPARISONS, KEEP_NAME, TRIMS, has_meaning
from obs.tsdb.promql.operators.cells import Cells, combine
from obs.tsdb.promql.operators.signature import by, excluding, ordinals
from obs.tsdb.promql.plan import Binary, Card, Matching, label_text, quote
from obs.tsdb.promql.values import (
    I64,
    METADATA,
    Bool,
    Vector,
    empty_vector,
    is_hist,
    merge_same,
    only,
    without,
    without_name,
)  # fmt: skip


def matched(frame: Frame, node: Binary, left: Vector, right: Vector) -> Vector:
    """The vector of `left op right`."""
    m = node.matching
    assert m is not None
    signature = by(m.labels) if m.on else excluding(m.labels)
    known: dict[Labels, int] = {}
    sides = [ordinals(v.labels, signature, known) for v in (left, right)]
    swapped = m.card is Card.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    many_group, one_group = (sides[1], sides[0]) if swapped else (sides[0], sides[1])
    names = list(known)
    _check_one_side(_facing(m, many, one), one_group, names, m, "left" if swapped else "right")
    many, one, many_group, one_group = _filled(node, m, swapped, many, one, many_group, one_group, names)
    many_rows, one_rows = _pairs(many_group, one_group, len(names))
    if not len(many_rows):
        return empty_vector(left.values.shape[1])
    cells = _combined(frame, node, many.rows(many_rows), one.rows(one_rows), swapped)
    # Pairs count whether or not a comparison then filters them away: an error must not depend on the values.
    _check_result(m, _meets(node, swapped, many, one, many_rows, one_rows), many_group[many_rows])
    labels = [_result_labels(node, m, many.labels[i], one.labels[j]) for i, j in zip(many_rows, one_rows, strict=True)]
    drop = np.ones(len(labels), np.bool_) if node.bool_ else _drops(node, many, one, many_rows, one_rows)
    result = Vector(labels, cells.values, cells.present, drop, cells.hists).compact()
    cause = "multiple matches for labels: grouping labels must ensure unique matches"
    return merge_same(result, cause) if m.card is not Card.ONE_TO_ONE else merge_same(result)


def _drops(node: Binary, many: Vector, one: Vector, many_rows: I64, one_rows: I64) -> Bool:
    if node.op in COMPARISONS:
        return many.drop_name[many_rows]
    return np.zeros(len(many_rows), np.bool_)


def _combined(frame: Frame, node: Binary, many: Vector, one: Vector, swapped: bool) -> Cells:
    a, b = Cells(many.values, many.present, many.hists), Cells(one.values, one.present, one.hists)
    return combine(frame, node, b, a) if swapped else combine(frame, node, a, b)


def _pairs(many_group: I64, one_group: I64, groups: int) -> tuple[I64, I64]:
    """All (row of many, row of one) that share a group, in the order of many."""
    order = np.argsort(one_group, kind="stable")
    start = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(one_group, minlength=groups), out=start[1:])
    counts = (start[1:] - start[:-1])[many_group]
    many_rows = np.repeat(np.arange(len(many_group)), counts)
    first = np.repeat(start[:-1][many_group], counts)
    within = np.arange(len(many_rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return many_rows, order[first + within]


def _meets(node: Binary, swapped: bool, many: Vector, one: Vector, many_rows: I64, one_rows: I64) -> Bool:
    """bool[pair, step]: both sides have a sample, of kinds that the operator has a meaning for."""
    both = many.present[many_rows] & one.present[one_rows]
    if many.hists is None and one.hists is None and node.op not in TRIMS:
        return both
    kinds = _is_hist(many, many_rows), _is_hist(one, one_rows)
    return both & has_meaning(node.op, *(reversed(kinds) if swapped else kinds))


def _is_hist(vector: Vector, rows: I64) -> Bool:
    shape = len(rows), vector.values.shape[1]
    return np.zeros(shape, np.bool_) if vector.hists is None else is_hist(vector.hists[rows])


def _facing(m: Matching, many: Vector, one: Vector) -> Vector:
    """The one side at the steps where the other has a sample too: elsewhere nothing can match, whatever is twice."""
    if m.fill_left is not None or m.fill_right is not None:
        return one
    faced = np.logical_or.reduce(many.present, axis=0)
    return replace(one, present=one.present & faced)


def _check_one_side(one: Vector, group: I64, names: list[Labels], m: Matching, side: str) -> None:
    """Raises: QueryError where two series of one signature meet at a step."""
    if len(np.unique(group)) == len(group):
        return
    seen = np.full((len(names), one.values.shape[1]), -1, np.int64)
    for row, g in enumerate(group.tolist()):
        met = one.present[row] & (seen[g] >= 0)
        if bool(met.any()):
            first = int(seen[g][np.argmax(met)])
            shown = ", ".join(labels_text(one.labels[i]) for i in (first, row))
            group_text = labels_text(_match_group(one.labels[row], m))
            raise QueryError(
                f"found duplicate series for the match group {group_text} on the {side}"
                f" hand-side of the operation: [{shown}];many-to-many matching not allowed: matching labels must be"
                " unique on one side"
            )
        seen[g][one.present[row]] = row


def _match_group(labels: Labels, m: Matching) -> Labels:
    return only(labels, frozenset(m.labels)) if m.on else without(labels, METADATA.union(m.labels))


def _check_result(m: Matching, present: Bool, group: I64) -> None:
    """Raises: QueryError where two pairs of one signature meet at a step."""
    if m.card is not Card.ONE_TO_ONE:
        return
    met = np.zeros((int(group.max()) + 1, present.shape[1]), np.int32)
    np.add.at(met, group, present)
    if bool((met > 1).any()):
        raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")


def _result_labels(node: Binary, m: Matching, many: Labels, one: Labels) -> Labels:
    labels = many if node.op in KEEP_NAME else without_name(many)
    if m.card is Card.ONE_TO_ONE:
        return only(labels, frozenset(m.labels)) if m.on else without(labels, m.labels)
    if not m.include:
        return labels
    taken = [p for p in one if p[0] in m.include]
    return tuple(sorted((*without(labels, m.include), *taken)))


def _filled(
    node: Binary, m: Matching, swapped: bool, many: Vector, one: Vector, many_group: I64, one_group: I64,
    names: list[Labels],
) -> tuple[Vector, Vector, I64, I64]:  # fmt: skip
    """Both sides with rows of fill values where a signature has no sample at a step.

    A sample of the many side that has no meaning beside its match counts as none: its match gets the fill value.
    """
    for_many, for_one = (m.fill_right, m.fill_left) if swapped else (m.fill_left, m.fill_right)
    groups, steps = len(names), many.values.shape[1]
    met, has_many, has_one = (np.zeros((groups, steps), np.bool_) for _ in range(3))
    np.logical_or.at(has_many, many_group, many.present)
    np.logical_or.at(has_one, one_group, one.present)
    if for_many is not None:
        many_rows, one_rows = _pairs(many_group, one_group, groups)
        meets = _meets(node, swapped, many, one, many_rows, one_rows)
        np.logical_or.at(met, many_group[many_rows], meets)
    every = np.arange(groups)
    if for_many is not None:
        many, many_group = _with_fill(many, has_one & ~met, names, for_many), np.concatenate([many_group, every])
    if for_one is not None:
        one, one_group = _with_fill(one, has_many & ~has_one, names, for_one), np.concatenate([one_group, every])
    return many, one, many_group, one_group


def _with_fill(mine: Vector, missing: Bool, names: list[Labels], fill: float) -> Vector:
    hists = None if mine.hists is None else np.concatenate([mine.hists, np.full(missing.shape, None, np.object_)])
    return replace(
        mine,
        labels=[*mine.labels, *names],
        values=np.concatenate([mine.values, np.full(missing.shape, fill)]),
        present=np.concatenate([mine.present, missing]),
        drop_name=np.concatenate([mine.drop_name, np.zeros(len(names), np.bool_)]),
        hists=hists,
    )


def labels_text(labels: Labels) -> str:
    """Labels as error messages show them: {a="b", c="d"}."""
    return "{" + ", ".join(f"{label_text(k)}={quote(v)}" for k, v in labels) + "}"
