"""`left ~ right`: right spans with the same parent as another span on the left. Tops of the tree have no siblings."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.operators.operator import Rows, Sides, keys


def rows(sides: Sides) -> Rows:
    """By counting the left spans under each parent, the span itself left out."""
    parents = sides.rows.slices.parents
    left, right = parents(sides.left), parents(sides.right)
    under = left >= 0
    sorted_keys = np.sort(keys(sides, sides.left[under], left[under]), kind="stable")
    wanted = keys(sides, sides.right, np.maximum(right, 0))
    count = np.searchsorted(sorted_keys, wanted, side="right") - np.searchsorted(sorted_keys, wanted, side="left")
    is_left = np.zeros(len(sides.rows), bool)
    is_left[sides.left] = True
    return sides.right[(right >= 0) & (count - is_left[sides.right] > 0)]
