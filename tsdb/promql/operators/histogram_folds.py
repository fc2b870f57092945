"""sum and avg of native histograms; groups where floats and histograms meet at a step give nothing and a warning."""

from __future__ import annotations

import numpy as np

from obs.tsdb.promql.annotations import MIXED_BUCKETS, maybe_of
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.histogram_sums import Incompatible, Total
from obs.tsdb.promql.operators.cells import Cells
from obs.tsdb.promql.plan import Aggregate
from obs.tsdb.promql.values import I64, Vector, metric_name


class HistogramSums:
    """Sums by (group, step)."""

    def __init__(self, frame: Frame, node: Aggregate) -> None:
        self.frame, self.node = frame, node
        self.sums: dict[tuple[int, int], Total] = {}
        self.broken: set[tuple[int, int]] = set()

    def take(self, part: Vector, group: I64) -> None:
        """Fold in the histograms of some series."""
        assert part.hists is not None
        for row, col in zip(*(a.tolist() for a in np.nonzero(part.histograms)), strict=True):
            self._add((int(group[row]), col), part.hists[row, col], metric_name(part.labels[row]))

    def _add(self, key: tuple[int, int], hist: Histogram, metric: str) -> None:
        if key not in self.sums:
            self.sums[key] = Total(hist)
            return
        notes = self.frame.query.annotations
        try:
            outcome = self.sums[key].add(hist)
        except Incompatible:
            notes.warn(self.node.expr, f"{MIXED_BUCKETS}{maybe_of(metric)}")
            self.broken.add(key)
            return
        if outcome.reconciled:
            notes.info(self.node.expr, "mismatched custom buckets were reconciled during aggregation")

    def merged(self, floats: Cells) -> Cells:
        """The cells of floats with those of histograms."""
        present = floats.present.copy()
        hists = np.full(present.shape, None, np.object_)
        for key, total in self.sums.items():
            if present[key] or key in self.broken:
                if present[key]:
                    text = "encountered a mix of histograms and floats for aggregation"
                    self.frame.query.annotations.warn(self.node.expr, text)
                present[key] = False
                continue
            present[key] = True
            if total.hints_collide:
                text = "conflicting counter resets during histogram aggregation"
                self.frame.query.annotations.warn(self.node.expr, text)
            hists[key] = (total.mean() if self.node.op == "avg" else total.sum()).compact()
        return Cells(floats.values, present, hists)
