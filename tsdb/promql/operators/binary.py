"""Binary operators by the kinds of their sides: scalars, a vector and a scalar, two vectors."""

from __future__ import annotations

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators import matching, sets
from obs.tsdb.promql.operators.arithmetic import COMPARISONS, KEEP_NAME, calculate, compare
from obs.tsdb.promql.operators.cells import Cells, combine
from obs.tsdb.promql.plan import Binary, Node
from obs.tsdb.promql.values import Scalar, Vector


def binary(frame: Frame, node: Node) -> Scalar | Vector:
    """`left op right`."""
    assert isinstance(node, Binary)
    left, right = frame.value(node.left), frame.value(node.right)
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return _scalars(node, left, right)
    if isinstance(left, Vector) and isinstance(right, Vector):
        if node.op in sets.SET_OPERATORS:
            return sets.SET_OPERATORS[node.op](node, left, right)
        return matching.matched(frame, node, left, right)
    if isinstance(left, Vector) and isinstance(right, Scalar):
        return _vector_scalar(frame, node, left, right, swapped=False)
    assert isinstance(left, Scalar) and isinstance(right, Vector)
    return _vector_scalar(frame, node, right, left, swapped=True)


def _scalars(node: Binary, left: Scalar, right: Scalar) -> Scalar:
    if node.op in COMPARISONS:
        return Scalar(compare(node.op, left.values, right.values).astype(np.float64))
    return Scalar(calculate(node.op, left.values, right.values))


def _vector_scalar(frame: Frame, node: Binary, vector: Vector, scalar: Scalar, swapped: bool) -> Vector:
    shape = vector.values.shape
    mine = Cells(vector.values, vector.present, vector.hists)
    other = Cells(np.broadcast_to(scalar.values, shape), np.ones(shape, np.bool_))
    cells = combine(frame, node, other, mine, keep_right=True) if swapped else combine(frame, node, mine, other)
    drops = node.op not in KEEP_NAME or node.bool_
    drop = np.ones_like(vector.drop_name) if drops else vector.drop_name
    return Vector(vector.labels, cells.values, cells.present, drop, cells.hists).compact()
