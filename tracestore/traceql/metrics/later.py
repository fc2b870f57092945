"""What may follow a metric: `| topk(n)`, `| bottomk(n)`, and comparisons of its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obs.tracestore.terms import holds
from obs.tracestore.traceql.metrics.series import Series


@dataclass(frozen=True, slots=True)
class Ranked:
    """At each step the points of the `count` series with the greatest (or least) values."""

    count: int
    greatest: bool

    def __str__(self) -> str:
        return f"{'topk' if self.greatest else 'bottomk'}({self.count})"

    def apply(self, series: Sequence[Series]) -> list[Series]:
        """Series that are left with a point; equal values by the order of the series."""
        if not series:
            return []
        values = np.stack([s.values for s in series])
        keys = np.where(np.isnan(values), np.inf, -values if self.greatest else values)
        rank = np.argsort(np.argsort(keys, axis=0, kind="stable"), axis=0, kind="stable")
        return _with_points([s.only(rank[i] < self.count) for i, s in enumerate(series)])


@dataclass(frozen=True, slots=True)
class KeptPoints:
    """Points whose value compares so with a number."""

    op: str
    number: float

    def __str__(self) -> str:
        return f"{self.op} {self.number:g}"

    def apply(self, series: Sequence[Series]) -> list[Series]:
        """Series that are left with a point."""
        with np.errstate(invalid="ignore"):
            return _with_points([s.only(holds(self.op, s.values, self.number) & ~np.isnan(s.values)) for s in series])


Later = Ranked | KeptPoints


def _with_points(series: Sequence[Series]) -> list[Series]:
    return [s for s in series if not np.isnan(s.values).all()]
