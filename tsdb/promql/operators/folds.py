"""Aggregations that fold rows into accumulators: sum, avg, count, group, min, max, stddev, stdvar.

Each is fed slices of a vector in the series' order and gives the groups' cells at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from obs.model.labels import Labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators.cells import Cells
from obs.tsdb.promql.plan import Aggregate
from obs.tsdb.promql.values import F64, I64, Vector


class Groups(NamedTuple):
    """The groups' labels, and each series' group."""

    labels: list[Labels]
    group: I64


class Fold(Protocol):
    """An aggregation under way."""

    def take(self, part: Vector, group: I64, groups: int) -> None:
        """Fold in some series; `groups` is how many there are by now."""

    def result(self, groups: int) -> Cells:
        """The cells of all groups."""


class _Arrays:
    """Accumulators of shape [group, step] that grow as groups appear."""

    def __init__(self, steps: int, *dtypes: Any) -> None:
        self.arrays: list[npt.NDArray[Any]] = [np.zeros((0, steps), d) for d in dtypes]

    def grow(self, groups: int) -> list[npt.NDArray[Any]]:
        have = len(self.arrays[0])
        if groups > have:
            room = max(groups, have * 2)
            self.arrays = [np.concatenate([a, np.zeros((room - have, a.shape[1]), a.dtype)]) for a in self.arrays]
        return self.arrays

    def cut(self, groups: int) -> list[npt.NDArray[Any]]:
        return [a[:groups] for a in self.grow(groups)]


class Count:
    """count: floats and histograms alike."""

    def __init__(self, frame: Frame, node: Aggregate) -> None:
        self.state = _Arrays(frame.steps.count, np.float64)

    def take(self, part: Vector, group: I64, groups: int) -> None:
        from obs.tsdb.promql.kernels_groups import fold_count

        fold_count(part.present, group, *self.state.grow(groups))

    def result(self, groups: int) -> Cells:
        (count,) = self.state.cut(groups)
        return Cells(count, count > 0)


class Group(Count):
    """group: 1 where there is any sample."""

    def result(self, groups: int) -> Cells:
        (count,) = self.state.cut(groups)
        return Cells(np.ones_like(count), count > 0)


class Extreme:
    """min and max; histograms are left out, with an info."""

    def __init__(self, frame: Frame, node: Aggregate) -> None:
        self.frame, self.node = frame, node
        self.sign = 1.0 if node.op == "max" else -1.0
        self.state = _Arrays(frame.steps.count, np.float64, np.float64)

    def take(self, part: Vector, group: I64, groups: int) -> None:
        from obs.tsdb.promql.kernels_groups import fold_extreme

        ignore_histograms(self.frame, self.node, part)
        count, best = self.state.grow(groups)
        fold_extreme(part.values, part.floats, group, count, best, self.sign)

    def result(self, groups: int) -> Cells:
        count, best = self.state.cut(groups)
        return Cells(best, count > 0)


class Variance:
    """stddev and stdvar; histograms are left out, with an info."""

    def __init__(self, frame: Frame, node: Aggregate) -> None:
        self.frame, self.node = frame, node
        self.state = _Arrays(frame.steps.count, np.float64, np.float64, np.float64)

    def take(self, part: Vector, group: I64, groups: int) -> None:
        from obs.tsdb.promql.kernels_groups import fold_variance

        ignore_histograms(self.frame, self.node, part)
        fold_variance(part.values, part.floats, group, *self.state.grow(groups))

    def result(self, groups: int) -> Cells:
        count, _, spread = self.state.cut(groups)
        with np.errstate(all="ignore"):
            variance: F64 = spread / count
            return Cells(np.sqrt(variance) if self.node.op == "stddev" else variance, count > 0)


class Total:
    """sum of floats; a group that holds histograms too is handled by `histogram_folds`."""

    def __init__(self, frame: Frame, node: Aggregate) -> None:
        self.frame, self.node = frame, node
        self.state = _Arrays(frame.steps.count, np.float64, np.float64, np.float64)
        self.hists: Any = None

    def take(self, part: Vector, group: I64, groups: int) -> None:
        from obs.tsdb.promql.kernels_groups import fold_sum

        fold_sum(part.values, part.floats, group, *self.state.grow(groups))
        self.take_histograms(part, group)

    def take_histograms(self, part: Vector, group: I64) -> None:
        if part.hists is None:
            return
        if self.hists is None:
            from obs.tsdb.promql.operators.histogram_folds import HistogramSums

            self.hists = HistogramSums(self.frame, self.node)
        self.hists.take(part, group)

    def result(self, groups: int) -> Cells:
        count, total, lost = self.state.cut(groups)
        cells = Cells(_compensated(total, lost), count > 0)
        return cells if self.hists is None else self.hists.merged(cells)


class Mean(Total):
    """avg, in the same way."""

    def __init__(self, frame: Frame, node: Aggregate) -> None:
        super().__init__(frame, node)
        self.state = _Arrays(frame.steps.count, np.float64, np.float64, np.float64, np.bool_)

    def take(self, part: Vector, group: I64, groups: int) -> None:
        from obs.tsdb.promql.kernels_groups import fold_mean

        fold_mean(part.values, part.floats, group, *self.state.grow(groups))
        self.take_histograms(part, group)

    def result(self, groups: int) -> Cells:
        count, total, lost, running = self.state.cut(groups)
        with np.errstate(all="ignore"):
            mean = np.where(running, _compensated(total, lost), total / count + lost / count)
        cells = Cells(mean, count > 0)
        return cells if self.hists is None else self.hists.merged(cells)


def _compensated(total: F64, lost: F64) -> F64:
    with np.errstate(all="ignore"):
        return total + lost


def ignore_histograms(frame: Frame, node: Aggregate, part: Vector) -> None:
    """Say that histograms were left out of an aggregation that has no meaning for them."""
    if part.hists is not None and bool(part.histograms.any()):
        at = node if node.op in ("topk", "bottomk") else node.expr
        frame.query.annotations.info(at, f"ignored histogram in {node.op} aggregation")


FOLDS: dict[str, Callable[[Frame, Aggregate], Fold]] = {
    "sum": Total,
    "avg": Mean,
    "count": Count,
    "group": Group,
    "min": Extreme,
    "max": Extreme,
    "stddev": Variance,
    "stdvar": Variance,
}
