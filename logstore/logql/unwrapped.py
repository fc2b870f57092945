"""Range aggregations over a label's values: samples by group, then every window of every step.

Windows are left-open: the samples of step t are those with t - offset - range < time <= t - offset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.errors import QueryLimit
from obs.logstore import limits
from obs.logstore.chunks import Rows, Shown
from obs.logstore.logql.groups import group_rows
from obs.logstore.logql.matrix import Matrix, Present, Steps, Values
from obs.logstore.logql.plan import RangePlan, run_some, run_stages
from obs.logstore.logql.stage_syntax import Conversion, Unwrap
from obs.logstore.logql.stages.errors import DETAILS, ERROR, SAMPLE, refuse_failed
from obs.logstore.logql.stages.label_filter import read_values
from obs.logstore.logql.stages.made_labels import with_found
from obs.logstore.logql.units import bytes_value, duration_ns
from obs.logstore.logql.vectors import rows_present
from obs.logstore.scan import Deadline, map_units, unless_damaged
from obs.logstore.selection import Unit
from obs.model.labels import Labels

Index = npt.NDArray[np.int64]
_PLACE = "__place__"
_READ: Mapping[Conversion, Callable[[str], float]] = {
    Conversion.NUMBER: float,
    Conversion.DURATION: lambda text: duration_ns(text) / 1e9,
    Conversion.BYTES: bytes_value,
}


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of some groups: the group of each, its time and its value."""

    labels: list[Labels]
    group: Index
    times: Index
    values: Values
    rows: int


NO_SAMPLES = Samples([], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), 0)


def evaluate(plan: RangePlan, units: list[Unit], steps: Steps, deadline: Deadline) -> tuple[Matrix, int]:
    """The matrix, and how many records went into it. Raises: QueryError where a value cannot be read, QueryLimit."""
    unwrap = plan.unwrap
    assert unwrap is not None

    def work(unit: Unit) -> Samples:
        return unless_damaged(lambda: _samples(plan, unwrap, unit), unit.damaged, NO_SAMPLES)

    found: dict[Labels, list[tuple[Index, Values]]] = {}
    total = 0
    for part in map_units(units, work, deadline):
        total += part.rows
        if total > limits.MAX_UNWRAPPED:
            raise QueryLimit(
                f"cannot unwrap more than {limits.MAX_UNWRAPPED} records: ask for less time, or filter more"
            )
        for i, labels in enumerate(part.labels):
            mine = part.group == i
            found.setdefault(labels, []).append((part.times[mine], part.values[mine]))
        if len(found) > limits.MAX_SERIES:
            raise QueryLimit(f"cannot build more than {limits.MAX_SERIES} series: aggregate by fewer labels")
    names = sorted(found)
    shape = (len(names), steps.count)
    values, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for row, labels in enumerate(names):
        times, samples = (np.concatenate(parts) for parts in zip(*found[labels], strict=True))
        order = np.argsort(times, kind="stable")
        values[row], present[row] = _windows(plan, times[order] + plan.offset_ns, samples[order], steps)
    return rows_present(names, values, present), total


def _samples(plan: RangePlan, unwrap: Unwrap, unit: Unit) -> Samples:
    rows = run_stages(plan.log, unit.open())
    if not len(rows):
        return NO_SAMPLES
    array = rows.label(unwrap.name)
    there = np.zeros(len(rows), np.bool_) if array is None else array.is_valid().to_numpy(zero_copy_only=False)
    rows = rows.keep(there)
    values = read_values(rows.label(unwrap.name), len(rows), _READ[unwrap.conversion])
    unread = np.isnan(values)
    if plan.after or unread.any():
        rows, kept = _after(plan, unwrap, rows, unread)
        values, unread = values[kept], unread[kept]
    else:
        refuse_failed(rows)
    rows, values = rows.keep(~unread), values[~unread]
    times = rows.times()
    if plan.by is None:  # the label that is worked on makes no group
        hidden = Shown(rows.shown.dropped | {unwrap.name, *plan.without}, rows.shown.kept)
        rows = rows.showing(hidden)
    codes, labels = group_rows(rows, plan.by, plan.extra)
    rows.chunk.release()
    return Samples(labels, codes, times, values, len(times))


def _after(plan: RangePlan, unwrap: Unwrap, rows: Rows, unread: Present) -> tuple[Rows, Index]:
    """The rows that the stages behind unwrap let through, which see what could not be read, and where they were."""
    said = ((ERROR, SAMPLE), (DETAILS, f"the value of {unwrap.name} cannot be read as a number"))
    told = {n: pa.array([text if lost else None for lost in unread.tolist()], pa.string()) for n, text in said}
    place = {_PLACE: pa.array(np.arange(len(rows)).astype(str))}
    left = run_some(plan.after, with_found(rows, told).with_labels(place))
    refuse_failed(left)
    at = left.label(_PLACE) if len(left) else None
    kept = np.array([] if at is None else at.to_pylist(), np.int64)
    return rows.take(kept), kept


def _windows(plan: RangePlan, times: Index, values: Values, steps: Steps) -> tuple[Values, Present]:
    """The value at each step, and where there is one."""
    ends = steps.start_ns + np.arange(steps.count) * steps.step_ns
    low = np.searchsorted(times, ends - plan.range_ns, "right")
    high = np.searchsorted(times, ends, "right")
    some = high > low
    out = np.zeros(steps.count)
    if some.any():
        seconds = plan.range_ns / 1e9
        out[some] = _FOLDS[plan.op](
            Spans(times, values, low[some], high[some], plan.parameter or 0.0, seconds, ends[some])
        )
    return out, some


@dataclass(frozen=True, slots=True)
class Spans:
    """Sorted samples and the spans low:high of them that windows hold, none empty."""

    times: Index
    values: Values
    low: Index
    high: Index
    parameter: float
    seconds: float
    ends: Index

    def fold(self, ufunc: np.ufunc, values: Values) -> Values:
        """A sum, least or greatest of each span."""
        bounds = np.stack([self.low, self.high], axis=1).ravel()
        return np.asarray(ufunc.reduceat(np.append(values, 0.0), bounds)[::2], np.float64)

    def sums(self) -> Values:
        """The sum of each span."""
        return self.fold(np.add, self.values)

    def means(self) -> Values:
        """The mean of each span."""
        return self.sums() / (self.high - self.low)

    def variances(self) -> Values:
        """The variance of each span, around a middle that keeps digits."""
        centred = self.values - self.values.mean()
        n = self.high - self.low
        mean = self.fold(np.add, centred) / n
        return np.maximum(self.fold(np.add, centred**2) / n - mean**2, 0.0)

    def each(self, one: Callable[[Index, Values], float]) -> Values:
        """A value of each span's times and values."""
        spans = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return np.array([one(self.times[a:b], self.values[a:b]) for a, b in spans])

    def counter_rates(self) -> Values:
        """The growth per second of each span as a counter, extrapolated to its window as PromQL's rate does."""
        return np.array(
            [
                _counter_rate(self.times[a:b] / 1e9, self.values[a:b], end / 1e9, self.seconds)
                for a, b, end in zip(self.low.tolist(), self.high.tolist(), self.ends.tolist(), strict=True)
            ]
        )


def _counter_rate(times: Values, values: Values, end: float, seconds: float) -> float:
    if len(values) < 2:
        return 0.0
    falls = values[1:] < values[:-1]
    grown = float(values[-1] - values[0] + values[:-1][falls].sum())
    covered = float(times[-1] - times[0])
    if covered <= 0:
        return 0.0
    gap = covered / (len(values) - 1)
    before, after = float(times[0] - (end - seconds)), float(end - times[-1])
    if grown > 0 and values[0] >= 0:
        before = min(before, covered * float(values[0]) / grown)
    reach = covered + (before if before < 1.1 * gap else gap / 2) + (after if after < 1.1 * gap else gap / 2)
    return grown * reach / covered / seconds


_FOLDS: Mapping[str, Callable[[Spans], Values]] = {
    "rate": lambda s: s.sums() / s.seconds,
    "rate_counter": Spans.counter_rates,
    "sum_over_time": Spans.sums,
    "avg_over_time": Spans.means,
    "min_over_time": lambda s: s.fold(np.minimum, s.values),
    "max_over_time": lambda s: s.fold(np.maximum, s.values),
    "first_over_time": lambda s: s.values[s.low],
    "last_over_time": lambda s: s.values[s.high - 1],
    "stdvar_over_time": Spans.variances,
    "stddev_over_time": lambda s: np.sqrt(s.variances()),
    "quantile_over_time": lambda s: s.each(lambda _, v: quantile(v, s.parameter)),
    "absent_over_time": lambda s: np.ones(len(s.low)),
}


def quantile(values: Values, q: float) -> float:
    """As PromQL's: between neighbours on a line, infinite outside 0…1."""
    if q < 0 or q > 1:
        return -np.inf if q < 0 else np.inf
    return float(np.quantile(values, q))
