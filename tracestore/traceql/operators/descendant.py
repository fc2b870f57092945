"""`left >> right`: right spans somewhere below a left span."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Rows, Sides, keys


def rows(sides: Sides) -> Rows:
    """By nested sets: of the left spans that begin before a span, does one end after it?

    Nested sets never overlap in part, so one that begins before and ends after encloses. The greatest end among all
    that begin before is enough to see it.
    """
    if not len(sides.left):
        return sides.left
    left, right = sides.rows.slices.bounds
    begins, ends = keys(sides, sides.left, left[sides.left]), keys(sides, sides.left, right[sides.left])
    order = np.argsort(begins, kind="stable")
    begins, reach = begins[order], np.maximum.accumulate(ends[order])
    before = np.searchsorted(begins, keys(sides, sides.right, left[sides.right]), side="left") - 1
    hit = (before >= 0) & (reach[before] > keys(sides, sides.right, right[sides.right]))
    return sides.right[hit]
