"""`left > right`: right spans whose parent is a left span."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Rows, Sides


def rows(sides: Sides) -> Rows:
    """By parent positions."""
    is_left = np.zeros(len(sides.rows), bool)
    is_left[sides.left] = True
    parent = sides.rows.slices.parents(sides.right)
    hit = (parent >= 0) & is_left[parent] & (sides.owner[parent] == sides.owner[sides.right])
    return sides.right[hit]
