"""One binary operator on two grids of cells, floats and histograms: values, and where a result remains.

Used by vector–scalar and vector–vector operators alike; comparisons keep or drop cells, or turn them into 0 and 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators.arithmetic import COMPARISONS, TRIMS, calculate, compare
from obs.tsdb.promql.plan import Binary
from obs.tsdb.promql.values import F64, Bool, Objects


class Cells(NamedTuple):
    """float64[row, step], bool[row, step], and histograms where there are any."""

    values: F64
    present: Bool
    hists: Objects | None = None


def combine(frame: Frame, node: Binary, left: Cells, right: Cells, keep_right: bool = False) -> Cells:
    """`left op right` where both are present; a filter keeps the left value (the right one where asked)."""
    present = left.present & right.present
    if left.hists is not None or right.hists is not None or (node.op in TRIMS and bool(present.any())):
        from obs.tsdb.promql.operators.histogram_cells import combine_mixed

        return combine_mixed(frame, node, left, right, present, keep_right)
    if node.op not in COMPARISONS:
        return Cells(calculate(node.op, left.values, right.values), present)
    true = compare(node.op, left.values, right.values)
    if node.bool_:
        return Cells(true.astype(np.float64), present)
    return Cells(right.values if keep_right else left.values, present & true)
