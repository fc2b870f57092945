"""`left || right`: the spans of either side."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Operator, Rows, Sides


def rows(sides: Sides) -> Rows:
    """All of them."""
    return np.union1d(sides.left, sides.right)


OPERATOR = Operator("||", rows, needs_left=False, needs_right=False)
