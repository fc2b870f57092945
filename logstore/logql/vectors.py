"""Vector aggregations: rows of a matrix into fewer, every step at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from obs.logstore.logql.matrix import Matrix, Present, Values
from obs.logstore.logql.syntax import Grouping
from obs.model.labels import Labels


def aggregate(op: str, matrix: Matrix, grouping: Grouping | None, parameter: int | None) -> Matrix:
    """`op` within each group of rows; topk and bottomk keep rows as they are."""
    groups = [group_labels(labels, grouping) for labels in matrix.labels]
    names = sorted(set(groups))
    place = {labels: i for i, labels in enumerate(names)}
    codes = np.array([place[g] for g in groups], np.int64)
    if op in ("topk", "bottomk"):
        return _extremes(matrix, codes, len(names), parameter or 0, largest=op == "topk")
    values, present = _reduce(op, matrix, codes, len(names))
    return Matrix(names, values, present)


def group_labels(labels: Labels, grouping: Grouping | None) -> Labels:
    """The labels of the group that a row belongs to."""
    if grouping is None:
        return ()
    names = grouping.names
    return tuple(pair for pair in labels if (pair[0] in names) != grouping.without)


def _reduce(op: str, matrix: Matrix, codes: npt.NDArray[np.int64], groups: int) -> tuple[Values, Present]:
    counts = np.zeros((groups, matrix.values.shape[1]))
    np.add.at(counts, codes, matrix.present)
    if op == "count":
        return counts, counts > 0
    if op in ("min", "max"):
        start, ufunc = (np.inf, np.minimum) if op == "min" else (-np.inf, np.maximum)
        values = np.full(counts.shape, start)
        ufunc.at(values, codes, np.where(matrix.present, matrix.values, start))
        return values, counts > 0
    values = np.zeros(counts.shape)
    np.add.at(values, codes, np.where(matrix.present, matrix.values, 0.0))
    return (values / np.maximum(counts, 1) if op == "avg" else values), counts > 0


def _extremes(matrix: Matrix, codes: npt.NDArray[np.int64], groups: int, k: int, largest: bool) -> Matrix:
    """Keep the k largest (or smallest) of each group and step."""
    keys = np.where(matrix.present, -matrix.values if largest else matrix.values, np.inf)
    keep = np.zeros(matrix.present.shape, np.bool_)
    for group in range(groups):
        rows = np.flatnonzero(codes == group)
        first = rows[np.argsort(keys[rows], axis=0, kind="stable")[:k]]
        np.put_along_axis(keep, first, True, axis=0)
    keep &= matrix.present
    return rows_present(matrix.labels, matrix.values, keep)


def rows_present(labels: Sequence[Labels], values: Values, present: Present) -> Matrix:
    """The rows with at least one value."""
    some = np.flatnonzero(present.any(axis=1))
    return Matrix([labels[i] for i in some.tolist()], values[some], present[some])
