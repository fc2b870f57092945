"""Binary operators: scalars with matrices, and matrices one to one by equal labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from obs.errors import QueryError
from obs.logstore.logql.matrix import Matrix, Present, Values
from obs.logstore.logql.syntax import Matching
from obs.logstore.logql.vectors import rows_present
from obs.model.labels import Labels, make_labels

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "^": np.power,
}  # fmt: skip
COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal,
}  # fmt: skip


def combine(op: str, left: Matrix, right: Matrix, returns_bool: bool, matching: Matching | None = None) -> Matrix:
    """`left op right`; a comparison without `bool` keeps the left values where it holds."""
    if op in ("and", "or", "unless"):
        return _set_operation(op, left, right, matching)
    if left.scalar and right.scalar:
        values, present = _apply(op, left.values, right.values, left.present, returns_bool=True, kept=left.values)
        return Matrix([()], values, present, scalar=True)
    if right.scalar:
        return rows_present(
            left.labels, *_apply(op, left.values, right.values, left.present, returns_bool, left.values)
        )
    if left.scalar:
        both = _apply(op, left.values, right.values, right.present, returns_bool, right.values)
        return rows_present(right.labels, *both)
    return _matched(op, left, right, returns_bool, matching or BY_ALL)


def _apply(
    op: str, left: Values, right: Values, present: Present, returns_bool: bool, kept: Values
) -> tuple[Values, Present]:
    with np.errstate(all="ignore"):
        if op in ARITHMETIC:
            return np.broadcast_to(ARITHMETIC[op](left, right), present.shape), present
        holds = np.broadcast_to(COMPARISON[op](left, right), present.shape)
    if returns_bool:
        return holds.astype(np.float64), present
    return kept, present & holds


BY_ALL = Matching((), on=False)


def _key(labels: Labels, matching: Matching) -> Labels:
    return tuple(pair for pair in labels if (pair[0] in matching.names) == matching.on)


def _matched(op: str, left: Matrix, right: Matrix, returns_bool: bool, matching: Matching) -> Matrix:
    """Rows whose keys are equal; on the side that is not `group` a key may stand once. Raises: QueryError."""
    many_left = matching.group != "right"
    many, one = (left, right) if many_left else (right, left)
    place: dict[Labels, int] = {}
    for j, labels in enumerate(one.labels):
        key = _key(labels, matching)
        if key in place:
            raise QueryError("many-to-many matching not allowed: matching labels must be unique on one side")
        place[key] = j
    pairs = [(i, place[key]) for i, labels in enumerate(many.labels) if (key := _key(labels, matching)) in place]
    if not matching.group and len({j for _, j in pairs}) < len(pairs):
        raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
    ours, theirs = [i for i, _ in pairs], [j for _, j in pairs]
    rows = (ours, theirs) if many_left else (theirs, ours)
    present = left.present[rows[0]] & right.present[rows[1]]
    a, b = left.values[rows[0]], right.values[rows[1]]
    values, present = _apply(op, a, b, present, returns_bool, a)
    names = [_labels(many.labels[i], one.labels[j], matching) for i, j in pairs]
    return rows_present(names, values, present)


def _labels(many: Labels, one: Labels, matching: Matching) -> Labels:
    if not matching.group:
        return _key(many, matching)
    taken = {name: value for name, value in one if name in matching.include}
    return make_labels({**dict(many), **dict.fromkeys(matching.include, ""), **taken})


def _set_operation(op: str, left: Matrix, right: Matrix, matching: Matching | None) -> Matrix:
    """`and`, `unless`: left rows where right has (has not) the labels; `or`: right rows where left has none."""
    if matching is not None:
        return _set_by_key(op, left, right, matching)
    steps = left.values.shape[1]
    theirs = dict(zip(right.labels, right.present, strict=True))
    none = np.zeros(steps, np.bool_)
    there = np.array([theirs.get(labels, none) for labels in left.labels], np.bool_).reshape(-1, steps)
    if op != "or":
        return rows_present(left.labels, left.values, left.present & (there if op == "and" else ~there))
    ours = {labels: i for i, labels in enumerate(left.labels)}
    values, present = left.values.copy(), left.present.copy()
    extra = []
    for j, labels in enumerate(right.labels):
        i = ours.get(labels)
        if i is None:
            extra.append(j)
        else:
            fill = ~present[i] & right.present[j]
            values[i, fill], present[i, fill] = right.values[j, fill], True
    names = [*left.labels, *(right.labels[j] for j in extra)]
    return Matrix(names, np.vstack([values, right.values[extra]]), np.vstack([present, right.present[extra]]))


def _set_by_key(op: str, left: Matrix, right: Matrix, matching: Matching) -> Matrix:
    """The same where keys, not labels, decide."""
    ours, theirs = _there(left, matching), _there(right, matching)
    none = np.zeros(left.values.shape[1], np.bool_)
    if op != "or":
        hit = np.array([theirs.get(_key(ls, matching), none) for ls in left.labels], np.bool_).reshape(
            left.present.shape
        )
        return rows_present(left.labels, left.values, left.present & (hit if op == "and" else ~hit))
    taken = np.array([ours.get(_key(ls, matching), none) for ls in right.labels], np.bool_).reshape(right.present.shape)
    extra = rows_present(right.labels, right.values, right.present & ~taken)
    names = [*left.labels, *extra.labels]
    return Matrix(names, np.vstack([left.values, extra.values]), np.vstack([left.present, extra.present]))


def _there(matrix: Matrix, matching: Matching) -> dict[Labels, Present]:
    """At which steps some row of a key is."""
    found: dict[Labels, Present] = {}
    for labels, present in zip(matrix.labels, matrix.present, strict=True):
        key = _key(labels, matching)
        found[key] = found[key] | present if key in found else present
    return found
