"""Vector aggregations: rows of a matrix into fewer, every step at once."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import QueryError
from obs.logstore.logql.matrix import Matrix, Present, Values
from obs.logstore.logql.syntax import Grouping, LabelReplace
from obs.logstore.matching import anchored
from obs.model.labels import Labels, make_labels

VARIANT = "__variant__"


def aggregate(op: str, matrix: Matrix, grouping: Grouping | None, parameter: int | None) -> Matrix:
    """`op` within each group of rows; topk and bottomk keep rows as they are."""
    groups = [group_labels(labels, grouping) for labels in matrix.labels]
    names = sorted(set(groups))
    place = {labels: i for i, labels in enumerate(names)}
    codes = np.array([place[g] for g in groups], np.int64)
    if op in ("topk", "bottomk", "approx_topk"):
        return _extremes(matrix, codes, len(names), parameter or 0, largest=op != "bottomk")
    if op in ("sort", "sort_desc"):
        return _sorted(matrix, descending=op == "sort_desc")
    values, present = _reduce(op, matrix, codes, len(names))
    return Matrix(names, values, present)


def variants(matrices: Sequence[Matrix]) -> Matrix:
    """The rows of several matrices, each with the position of its own as `__variant__`."""
    labels = [make_labels({**dict(row), VARIANT: str(i)}) for i, matrix in enumerate(matrices) for row in matrix.labels]
    return Matrix(labels, np.vstack([m.values for m in matrices]), np.vstack([m.present for m in matrices]))


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
    if op in ("stddev", "stdvar"):
        return _spread(op, matrix, codes, counts), counts > 0
    values = np.zeros(counts.shape)
    np.add.at(values, codes, np.where(matrix.present, matrix.values, 0.0))
    return (values / np.maximum(counts, 1) if op == "avg" else values), counts > 0


def _spread(op: str, matrix: Matrix, codes: npt.NDArray[np.int64], counts: Values) -> Values:
    """The variance or deviation of each group and step."""
    shown, many = np.where(matrix.present, matrix.values, 0.0), np.maximum(counts, 1)
    mean = np.zeros(counts.shape)
    np.add.at(mean, codes, shown)
    mean /= many
    squares = np.zeros(counts.shape)
    np.add.at(squares, codes, np.where(matrix.present, (matrix.values - mean[codes]) ** 2, 0.0))
    return squares / many if op == "stdvar" else np.sqrt(squares / many)


def _sorted(matrix: Matrix, descending: bool) -> Matrix:
    """Rows by their value at a single step; a range keeps the order of labels."""
    if matrix.values.shape[1] != 1:
        return matrix
    keys = -matrix.values[:, 0] if descending else matrix.values[:, 0]
    order = np.argsort(keys, kind="stable")
    return Matrix([matrix.labels[i] for i in order.tolist()], matrix.values[order], matrix.present[order])


def replaced(matrix: Matrix, syntax: LabelReplace) -> Matrix:
    """Rows with label `to` made from `source` where the regex matches all of it. Raises: QueryError."""
    texts = pa.array([dict(labels).get(syntax.source, "") for labels in matrix.labels], pa.string())
    hits = pc.match_substring_regex(texts, anchored(syntax.pattern)).to_pylist()
    rewrite = re.sub(r"\$\{?(\w+)\}?", lambda m: f"\\{m[1]}" if m[1].isdigit() else "", syntax.replacement)
    made = pc.replace_substring_regex(texts, anchored(syntax.pattern), rewrite).to_pylist()
    labels = [
        make_labels({**dict(ls), syntax.to: text}) if hit else ls
        for ls, hit, text in zip(matrix.labels, hits, made, strict=True)
    ]
    if len(set(labels)) < len(labels):
        raise QueryError("vector cannot contain metrics with the same labelset")
    return Matrix(labels, matrix.values, matrix.present, matrix.scalar)


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
