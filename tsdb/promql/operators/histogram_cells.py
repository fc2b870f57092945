"""Binary operators where at least one side has native histograms: which combinations have a meaning.

Histograms add, subtract and are equal or not; a float scales one. All else gives nothing and an info. Of what there
is to say of several pairs at one step, the last is said.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.histogram import GAUGE, Histogram
from obs.tsdb.promql.histogram_sums import Incompatible, add
from obs.tsdb.promql.histogram_trim import trim
from obs.tsdb.promql.operators.arithmetic import TRIMS
from obs.tsdb.promql.operators.cells import Cells, combine
from obs.tsdb.promql.plan import Binary
from obs.tsdb.promql.values import Bool, is_hist

_SAID = {"+": "addition", "-": "subtraction"}


class _Note(NamedTuple):
    """What is to be said of a pair."""

    text: str
    warns: bool = False


def combine_mixed(frame: Frame, node: Binary, left: Cells, right: Cells, present: Bool, keep_right: bool) -> Cells:
    """As `combine`, cell by cell where a histogram takes part."""
    left_hist, right_hist = _mask(left), _mask(right)
    plain = Cells(left.values, left.present & ~left_hist), Cells(right.values, right.present & ~right_hist)
    if node.op in TRIMS:  # floats have no result: all cells go through `_one`, which says so
        values, shown = np.zeros(present.shape), np.zeros(present.shape, np.bool_)
        mixed = present
    else:
        floats = combine(frame, node, *plain, keep_right)
        values, shown = floats.values.copy(), floats.present.copy()
        mixed = present & (left_hist | right_hist)
    hists = np.full(values.shape, None, np.object_)
    said: dict[int, _Note] = {}  # by step
    for row, col in zip(*(at.tolist() for at in np.nonzero(mixed)), strict=True):
        a = left.hists[row, col] if left_hist[row, col] and left.hists is not None else float(left.values[row, col])
        b = right.hists[row, col] if right_hist[row, col] and right.hists is not None else float(right.values[row, col])
        outcome, note = _one(node, a, b)
        if note is not None:
            said[col] = note
        if outcome is None:
            continue
        shown[row, col] = True
        if isinstance(outcome, Histogram):
            hists[row, col] = outcome
        else:
            values[row, col] = outcome
    notes = frame.query.annotations
    for note in said.values():
        (notes.warn if note.warns else notes.info)(node, note.text)
    return Cells(values, shown, hists)


def _mask(cells: Cells) -> Bool:
    return np.zeros(cells.present.shape, np.bool_) if cells.hists is None else is_hist(cells.hists)


def _one(node: Binary, a: Histogram | float, b: Histogram | float) -> tuple[Histogram | float | None, _Note | None]:
    if isinstance(a, Histogram) and isinstance(b, Histogram):
        if node.op in ("==", "!="):
            equal = a.same(b) == (node.op == "==")
            return float(equal) if node.bool_ else (a if equal else None), None
        if node.op in _SAID:
            return _sum(node, a, b)
    elif isinstance(a, Histogram) and isinstance(b, float):
        if node.op == "*":
            return a.scale(b), None
        if node.op == "/":
            return a.divide(b), None
        if node.op in TRIMS:
            return trim(a, b, keep_below=node.op == "</"), None
    elif isinstance(b, Histogram) and isinstance(a, float) and node.op == "*":
        return b.scale(a), None
    left, right = ("histogram" if isinstance(x, Histogram) else "float" for x in (a, b))
    text = f'incompatible sample types encountered for binary operator "{node.op}": {left} {node.op} {right}'
    return None, _Note(text)


def _sum(node: Binary, a: Histogram, b: Histogram) -> tuple[Histogram | None, _Note | None]:
    note, said = None, _SAID[node.op]
    try:
        outcome = add(a, b, 1.0 if node.op == "+" else -1.0)
    except Incompatible:
        return None, _Note(f"incompatible bucket layout encountered for binary operator {node.op}", warns=True)
    if outcome.hints_collide:
        return None, _Note(f"conflicting counter resets during histogram {said}", warns=True)
    if outcome.reconciled:
        note = _Note(f"mismatched custom buckets were reconciled during {said}")
    value = outcome.value.compact()
    return value if node.op == "+" else value.with_hint(GAUGE), note
