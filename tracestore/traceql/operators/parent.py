"""`left < right`: right spans that are the parent of a left span."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Rows, Sides


def rows(sides: Sides) -> Rows:
    """By parent positions."""
    parent = sides.rows.slices.parents(sides.left)
    near = (parent >= 0) & (sides.owner[parent] == sides.owner[sides.left])
    is_parent = np.zeros(len(sides.rows), bool)
    is_parent[parent[near]] = True
    return sides.right[is_parent[sides.right]]
