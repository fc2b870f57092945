"""Binary operators: scalars with matrices, and matrices one to one by equal labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from obs.logstore.logql.matrix import Matrix, Present, Values
from obs.logstore.logql.vectors import rows_present

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "^": np.power,
}  # fmt: skip
COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal,
}  # fmt: skip


def combine(op: str, left: Matrix, right: Matrix, returns_bool: bool) -> Matrix:
    """`left op right`; a comparison without `bool` keeps the left values where it holds."""
    if op in ("and", "or", "unless"):
        return _set_operation(op, left, right)
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
    return _one_to_one(op, left, right, returns_bool)


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


def _one_to_one(op: str, left: Matrix, right: Matrix, returns_bool: bool) -> Matrix:
    place = {labels: i for i, labels in enumerate(right.labels)}
    pairs = [(i, place[labels]) for i, labels in enumerate(left.labels) if labels in place]
    ours, theirs = [i for i, _ in pairs], [j for _, j in pairs]
    present = left.present[ours] & right.present[theirs]
    values, present = _apply(op, left.values[ours], right.values[theirs], present, returns_bool, left.values[ours])
    return rows_present([left.labels[i] for i in ours], values, present)


def _set_operation(op: str, left: Matrix, right: Matrix) -> Matrix:
    """`and`, `unless`: left rows where right has (has not) the labels; `or`: right rows where left has none."""
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
