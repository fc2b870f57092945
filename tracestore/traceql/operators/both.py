"""`left && right`: the spans of both sides, where each side has some."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Operator, Rows, Sides


def rows(sides: Sides) -> Rows:
    """Of the spansets with spans on both sides."""
    near = sides.meeting()
    return np.union1d(near.left, near.right)


OPERATOR = Operator("&&", rows)
