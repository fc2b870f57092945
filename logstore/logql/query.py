"""LogQL over a store: parse → plan → run. Log queries give entries, metric queries a matrix, rules a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from obs.errors import QueryError
from obs.logstore import limits
from obs.logstore.chunks import Rows
from obs.logstore.firstrows import Cursor, FirstRows, Found, Placed
from obs.logstore.logql import ranges, unwrapped
from obs.logstore.logql.binary import combine
from obs.logstore.logql.matrix import Matrix, Steps, constant, make_steps
from obs.logstore.logql.paging import first_page
from obs.logstore.logql.parse import parse
from obs.logstore.logql.plan import (
    AggregatePlan,
    BinaryPlan,
    LogPlan,
    MetricPlan,
    NumberPlan,
    RangePlan,
    ReplacePlan,
    VariantsPlan,
    plan_metric,
    plan_records,
    run_stages,
)
from obs.logstore.logql.records import LogEntry, entries_of
from obs.logstore.logql.syntax import LogQuery
from obs.logstore.logql.vectors import aggregate, replaced, variants
from obs.logstore.scan import Deadline, map_units, unless_damaged
from obs.logstore.selection import ALL_TIME, Selection, Stats, StreamFilter, Unit, head_units
from obs.model.ports import VectorSample

if TYPE_CHECKING:
    from obs.logstore.store import LogStore


@dataclass(frozen=True, slots=True)
class Entries:
    """Records in the order asked for; `partial` says why there are more, `next` is the cursor that they are behind."""

    entries: Sequence[LogEntry]
    stats: Stats
    partial: str | None = None
    next: str | None = None


class LogQL:
    """The language over one store; an `Evaluator` of obs.model.ports."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def is_records(self, query: str) -> bool:
        """Whether a query gives records rather than numbers. Raises: QueryError."""
        return isinstance(parse(query), LogQuery)

    def check(self, query: str) -> None:
        """Whether a rule may use a query: it parses and computes numbers. Raises: QueryError."""
        if self.is_records(query):
            raise QueryError(f"cannot alert on {query!r}: it lists records; wrap it, as in count_over_time(… [5m])")

    def explain(self, query: str) -> str:
        """The plan of a query as text. Raises: QueryError."""
        syntax = parse(query)
        known = self._store.streams.label_names
        plan = plan_records(syntax, known) if isinstance(syntax, LogQuery) else plan_metric(syntax, known)
        return "\n".join(plan.lines())

    def records(
        self,
        query: str,
        start_ns: int,
        end_ns: int,
        limit: int = limits.DEFAULT_ENTRIES,
        newest_first: bool = True,
        after: str = "",
    ) -> Entries:
        """The first `limit` records with start_ns <= time < end_ns, behind the cursor `after` of the page before.

        Raises: QueryError, QueryLimit.
        """
        syntax = parse(query)
        if not isinstance(syntax, LogQuery):
            raise QueryError(f"cannot list records of {query!r}: it computes numbers; ask for a range or an instant")
        if not 0 < limit <= limits.MAX_ENTRIES:
            raise QueryError(f"cannot return {limit} lines: the limit is from 1 to {limits.MAX_ENTRIES}")
        plan = plan_records(syntax, self._store.streams.label_names)
        stats, deadline = Stats(), Deadline()

        def find(start_ns: int, end_ns: int, limit: int, behind: Cursor | None) -> list[LogEntry]:
            first = FirstRows(limit, newest_first, behind)
            with self._store.read(_selection(plan, start_ns, end_ns), stats) as units:
                _first_rows(first, units, plan, stats, deadline)
                return _entries(first, deadline)

        entries, behind = first_page(find, start_ns, end_ns, limit, newest_first, after)
        partial = None
        if behind is not None:
            partial = f"limit of {limit} lines: {'older' if newest_first else 'newer'} ones match too, after={behind}"
        return Entries(entries, stats, partial, behind)

    def records_of(self, query: str, batches: Sequence[pa.RecordBatch]) -> list[LogEntry]:
        """The records of batches just taken in that a log query selects, in the order they came. Raises: QueryError."""
        syntax = parse(query)
        if not isinstance(syntax, LogQuery):
            raise QueryError(f"cannot follow {query!r}: it computes numbers; give a selector or words")
        if not batches:
            return []
        plan = plan_records(syntax, self._store.streams.label_names)
        table = pa.concat_tables([pa.Table.from_batches([b]) for b in batches], promote_options="default")
        chosen = StreamFilter(plan.matchers)
        units = head_units(table, self._store.streams.labels, _selection(plan, *ALL_TIME), chosen, Stats())
        found = (run_stages(plan, unit.open()) for unit in units)
        return [entry for rows in found if len(rows) for entry in entries_of(rows, rows.times())]

    def range(self, query: str, start_ns: int, end_ns: int, step_ns: int) -> tuple[Matrix, Steps, Stats]:
        """A metric query at every step from start to end, both inclusive. Raises: QueryError, QueryLimit."""
        steps = make_steps(start_ns, end_ns, step_ns)
        syntax = parse(query)
        if isinstance(syntax, LogQuery):
            raise QueryError(
                f"cannot compute numbers of {query!r}: it lists records; wrap it, as in count_over_time(… [5m])"
            )
        stats = Stats()
        plan = plan_metric(syntax, self._store.streams.label_names)
        return self._evaluate(plan, steps, stats, Deadline()), steps, stats

    def label_values(self, query: str, name: str, start_ns: int, end_ns: int) -> set[str]:
        """Distinct values of any label of the records of a log query. Raises: QueryError, QueryLimit."""
        syntax = parse(query)
        if not isinstance(syntax, LogQuery):
            raise QueryError(f"cannot list labels of {query!r}: it computes numbers; give a selector")
        plan = plan_records(syntax, self._store.streams.label_names, needed=frozenset((name,)))
        values: set[str] = set()
        with self._store.read(_selection(plan, start_ns, end_ns), Stats()) as units:
            for found in map_units(units, lambda unit: _values(plan, unit, name), Deadline()):
                values |= found
                if len(values) >= limits.MAX_LABEL_VALUES:
                    break
        return values

    def instant(self, query: str, t_ms: int) -> Sequence[VectorSample]:
        """The vector of a metric query at one time. Raises: QueryError, QueryLimit."""
        t_ns = t_ms * 1_000_000
        matrix, _, _ = self.range(query, t_ns, t_ns, 1)
        alive = zip(matrix.labels, matrix.values[:, 0].tolist(), matrix.present[:, 0].tolist(), strict=True)
        return [VectorSample(labels, t_ms, value) for labels, value, present in alive if present]

    def _evaluate(self, plan: MetricPlan, steps: Steps, stats: Stats, deadline: Deadline) -> Matrix:
        match plan:
            case NumberPlan():
                return constant(plan.value, steps.count, not plan.vector)
            case BinaryPlan():
                left = self._evaluate(plan.left, steps, stats, deadline)
                right = self._evaluate(plan.right, steps, stats, deadline)
                return combine(plan.op, left, right, plan.returns_bool, plan.matching)
            case VariantsPlan():
                return variants([self._evaluate(p, steps, stats, deadline) for p in plan.variants])
            case ReplacePlan():
                return replaced(self._evaluate(plan.inner, steps, stats, deadline), plan.syntax)
            case AggregatePlan():
                inner = self._evaluate(plan.inner, steps, stats, deadline)
                return aggregate(plan.op, inner, plan.grouping, plan.parameter)
            case RangePlan():
                return self._range(plan, steps, stats, deadline)

    def _range(self, plan: RangePlan, steps: Steps, stats: Stats, deadline: Deadline) -> Matrix:
        start_ns, end_ns = ranges.windows(steps, plan.range_ns, plan.offset_ns)
        selection = replace(_selection(plan.log, start_ns, end_ns), counted=ranges.counted(plan, steps))
        with self._store.read(selection, stats) as units:
            evaluate = unwrapped.evaluate if plan.unwrap is not None else ranges.evaluate
            matrix, rows = evaluate(plan, units, steps, deadline)
        if plan.op == "absent_over_time" and plan.unwrap is not None:
            matrix = ranges.absent(plan, matrix.present, steps)
        stats.rows_read += rows
        return matrix


def _values(plan: LogPlan, unit: Unit, name: str) -> set[str]:
    return unless_damaged(lambda: _distinct(run_stages(plan, unit.open()), name), unit.damaged, set())


def _distinct(rows: Rows, name: str) -> set[str]:
    array = rows.label(name) if len(rows) else None
    rows.chunk.release()
    return set() if array is None else {value for value in array.unique().to_pylist() if value}


def _selection(plan: LogPlan, start_ns: int, end_ns: int) -> Selection:
    return Selection(plan.matchers, start_ns, end_ns, plan.requirements)


def _first_rows(first: FirstRows, units: list[Unit], plan: LogPlan, stats: Stats, deadline: Deadline) -> None:
    """Read units, likeliest first, until no other can hold a row that belongs in the answer."""
    waiting, ages = first.order(units), {id(unit): age for age, unit in enumerate(units)}
    while waiting:
        bound = first.bound()
        batch = [u for u in waiting[: limits.SCAN_THREADS] if first.wants(u, bound)]
        if not batch:
            return
        waiting = waiting[limits.SCAN_THREADS :]

        def work(unit: Unit, bound: int | None = bound) -> Found | None:
            return unless_damaged(lambda: _first_of(first, plan, unit, bound, ages[id(unit)]), unit.damaged, None)

        for found in map_units(batch, work, deadline):
            if found is not None:
                stats.rows_read += len(found.times)
                first.found.append(found)


def _first_of(first: FirstRows, plan: LogPlan, unit: Unit, bound: int | None, age: int) -> Found | None:
    rows = run_stages(plan, first.inside(unit.open(), bound))
    found = first.first(rows, age)
    rows.chunk.release()
    return found


def _entries(first: FirstRows, deadline: Deadline) -> list[LogEntry]:
    """The rows kept as entries, in order; what they lack of columns is read now."""
    placed: dict[int, LogEntry] = {}
    for places, entries in map_units(first.result(), _placed_entries, deadline):
        placed.update(zip(places, entries, strict=True))
    return [placed[i] for i in sorted(placed)]


def _placed_entries(part: Placed) -> tuple[list[int], list[LogEntry]]:
    none: list[LogEntry] = []
    entries = unless_damaged(lambda: list(entries_of(part.rows, part.times)), part.rows.chunk.damaged, none)
    return part.places.tolist()[: len(entries)], entries
