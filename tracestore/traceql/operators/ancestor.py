"""`left << right`: right spans somewhere above a left span."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Rows, Sides, keys


def rows(sides: Sides) -> Rows:
    """By nested sets: does a left span begin between the bounds of a span?"""
    left, right = sides.rows.slices.bounds
    begins = np.sort(keys(sides, sides.left, left[sides.left]), kind="stable")
    first = np.searchsorted(begins, keys(sides, sides.right, left[sides.right]), side="right")
    end = np.searchsorted(begins, keys(sides, sides.right, right[sides.right]), side="left")
    return sides.right[end > first]
