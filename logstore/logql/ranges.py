"""Range aggregations: records into windows, all steps at once.

A record at time τ is in the windows of the steps t with τ <= t < τ + range (left-open windows): two additions to a
row of differences, summed up along the steps at the end. Work is O(records + groups × steps) for any range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from obs.errors import QueryLimit
from obs.logstore import limits
from obs.logstore.chunks import Rows
from obs.logstore.logql.groups import group_rows
from obs.logstore.logql.matrix import Matrix, Steps, Values
from obs.logstore.logql.plan import ADDITIVE, RangePlan, run_stages
from obs.logstore.logql.stages.errors import refuse_failed
from obs.logstore.logql.syntax import Comparison, Condition, LabelFilter, Stage
from obs.logstore.logql.units import LONGEST_NS
from obs.logstore.logql.vectors import rows_present
from obs.logstore.scan import Deadline, map_units, unless_damaged
from obs.logstore.selection import Counted, Unit
from obs.model.labels import Labels

Index = npt.NDArray[np.int64]
BYTES_OPS = ("bytes_over_time", "bytes_rate")
RATE_OPS = ("rate", "bytes_rate")


@dataclass(frozen=True, slots=True)
class Partial:
    """What one unit adds: amount[i] to the counts and to the difference at (group[i], step[i])."""

    labels: list[Labels]
    group: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float64]
    count: npt.NDArray[np.float64]
    rows: int


def evaluate(plan: RangePlan, units: list[Unit], steps: Steps, deadline: Deadline) -> tuple[Matrix, int]:
    """The matrix of a range aggregation, and how many records went into it."""
    sums: dict[Labels, npt.NDArray[np.float64]] = {}
    total = 0
    nothing = Partial([], *(np.empty(0, np.int64),) * 2, *(np.empty(0),) * 2, 0)

    def work(unit: Unit) -> Partial:
        return unless_damaged(lambda: _partial(plan, run_stages(plan.log, unit.open()), steps), unit.damaged, nothing)

    for partial in map_units(units, work, deadline):
        total += partial.rows
        _merge(sums, partial, steps.count)
    return _finish(plan, sums, steps), total


def _partial(plan: RangePlan, rows: Rows, steps: Steps) -> Partial:
    """Differences of one unit, added up where several records meet."""
    if not len(rows):
        none = np.empty(0, np.int64)
        return Partial([], none, none, none.astype(np.float64), none.astype(np.float64), 0)
    refuse_failed(rows)
    codes, labels = group_rows(rows, plan.by, plan.extra)
    enter, leave = _windows_of(plan, rows, steps)
    inside = enter < leave
    if not inside.all():
        enter, leave, codes = enter[inside], leave[inside], codes[inside]
    sizes, records = _amounts(plan, rows, inside)
    where, amount, count = _add_up(codes, enter, leave, sizes, records, len(labels), steps.count + 1)
    width = steps.count + 1
    rows.chunk.release()
    total = len(enter) if records is None else int(records.sum())
    return Partial(labels, where // width, where % width, amount, count, total)


def _windows_of(plan: RangePlan, rows: Rows, steps: Steps) -> tuple[Index, Index]:
    """`window_steps` of each row; times are not read where all of the chunk's fall into the same windows."""
    bounds = np.array([rows.chunk.min_ns, rows.chunk.max_ns])
    enter, leave = window_steps(bounds + plan.offset_ns, plan.range_ns, steps)
    if enter[0] == enter[1] and leave[0] == leave[1]:
        return np.full(len(rows), enter[0]), np.full(len(rows), leave[0])
    return window_steps(rows.times() + plan.offset_ns, plan.range_ns, steps)


def _amounts(plan: RangePlan, rows: Rows, inside: npt.NDArray[np.bool_]) -> tuple[Values | None, Values | None]:
    """The bytes of each row where they are asked for, and its records where rows are cells; else None."""
    amounts, sized = rows.chunk.amounts, plan.op in BYTES_OPS
    if amounts is None:
        return (pc.binary_length(rows.line()).to_numpy().astype(np.float64)[inside] if sized else None), None
    sizes = amounts.bytes[rows.index].astype(np.float64)[inside] if sized else None
    return sizes, amounts.rows[rows.index].astype(np.float64)[inside]


def counted(plan: RangePlan, steps: Steps) -> Counted | None:
    """What lets the counts that blocks keep answer a plan: it reads no more than labels; else None."""
    names = label_names(plan.log.syntax)
    if plan.op not in (*ADDITIVE, "absent_over_time") or plan.unwrap is not None or plan.after or names is None:
        return None

    def alike(first: Index, last: Index) -> npt.NDArray[np.bool_]:
        a = window_steps(first + plan.offset_ns, plan.range_ns, steps)
        b = window_steps(last + plan.offset_ns, plan.range_ns, steps)
        return (a[0] == b[0]) & (a[1] == b[1])

    return Counted(frozenset((*names, *(plan.by or ()), *plan.extra)), alike)


def label_names(stages: tuple[Stage, ...]) -> set[str] | None:
    """The labels that stages look at, or None where they do more than filter by labels."""
    names: set[str] = set()
    waiting: list[Condition] = []
    for stage in stages:
        if not isinstance(stage, LabelFilter):
            return None
        waiting.append(stage.condition)
    while waiting:
        condition = waiting.pop()
        if isinstance(condition, Comparison):
            names.add(condition.name)
        else:
            waiting += condition.parts
    return names


def _add_up(
    codes: Index, enter: Index, leave: Index, sizes: Values | None, records: Values | None, groups: int, width: int
) -> tuple[Index, Values, Values]:
    """Where differences are, flat over [groups, width], and what they are of amounts and counts.

    `sizes`: the amount of each row, 1 where not given; `records`: how many it counts for, likewise.
    """
    base = codes * width
    enter, leave, size = base + enter, base + leave, groups * width
    places: Index | None = None
    if size > max(1 << 16, 4 * len(codes)):
        places, at = np.unique(np.concatenate([enter, leave]), return_inverse=True)
        enter, leave, size = at[: len(codes)], at[len(codes) :], len(places)
    count = (np.bincount(enter, records, size) - np.bincount(leave, records, size)).astype(np.float64)
    amount = count
    if sizes is not None:
        amount = (np.bincount(enter, sizes, size) - np.bincount(leave, sizes, size)).astype(np.float64)
    some = np.flatnonzero((amount != 0) | (count != 0))
    return some if places is None else places[some], amount[some], count[some]


def window_steps(
    times: npt.NDArray[np.int64], range_ns: int, steps: Steps
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first step whose window holds each time, and the first after it whose window does not: int64[rows]."""
    since = times - steps.start_ns
    enter = -(-since // steps.step_ns)
    leave = -(-(since + range_ns) // steps.step_ns)
    last = np.int64(steps.count)
    return np.minimum(np.maximum(enter, 0), last), np.minimum(np.maximum(leave, 0), last)


def _merge(sums: dict[Labels, npt.NDArray[np.float64]], partial: Partial, steps: int) -> None:
    """Add one unit's differences: sums[labels] is float64[2, steps + 1], amounts and counts."""
    rows = []
    for labels in partial.labels:
        row = sums.get(labels)
        if row is None:
            most = min(limits.MAX_SERIES, limits.MAX_CELLS // steps)
            if len(sums) >= most:
                raise QueryLimit(
                    f"cannot build more than {most} series at {steps} steps: aggregate by fewer labels, or ask for a "
                    "longer step"
                )
            row = sums[labels] = np.zeros((2, steps + 1))
        rows.append(row)
    ends = np.searchsorted(partial.group, np.arange(len(rows) + 1))
    for i, row in enumerate(rows):
        part = slice(ends[i], ends[i + 1])
        row[0, partial.step[part]] += partial.amount[part]
        row[1, partial.step[part]] += partial.count[part]


def _finish(plan: RangePlan, sums: dict[Labels, npt.NDArray[np.float64]], steps: Steps) -> Matrix:
    labels = sorted(sums)
    stacked = np.array([sums[ls] for ls in labels]).reshape(len(labels), 2, steps.count + 1)
    added = np.cumsum(stacked, axis=2)[:, :, :-1]
    values, present = added[:, 0], added[:, 1] > 0
    if plan.op == "absent_over_time":
        return absent(plan, present, steps)
    if plan.op in RATE_OPS:
        values = values / (plan.range_ns / 1e9)
    return rows_present(labels, values, present)


def absent(plan: RangePlan, present: npt.NDArray[np.bool_], steps: Steps) -> Matrix:
    """1 where no record is in the window, under the labels that the selector fixes."""
    absent = ~present.any(axis=0) if len(present) else np.ones(steps.count, np.bool_)
    if not absent.any():
        return Matrix([], np.empty((0, steps.count)), np.empty((0, steps.count), np.bool_))
    return Matrix([plan.fixed], np.ones((1, steps.count)), absent.reshape(1, -1))


def windows(steps: Steps, range_ns: int, offset_ns: int) -> tuple[int, int]:
    """The times that some window holds, start inclusive, end exclusive. Raises: QueryLimit."""
    if steps.last_ns - steps.start_ns + range_ns > LONGEST_NS:
        raise QueryLimit("cannot evaluate windows over more than 292 years: narrow the time or the range")
    return steps.start_ns - offset_ns - range_ns + 1, steps.last_ns - offset_ns + 1
