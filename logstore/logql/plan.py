"""Syntax → plan: which streams to read, what the filters may prune, which stages run, how records are grouped.

A plan is made once a query and prints itself. `sum by (…)` over a count, a rate or bytes is pushed into the range
aggregation, so that only the labels it names are read; the stores' other columns stay closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from obs.logstore.chunks import Rows
from obs.logstore.logql.stage_syntax import Unwrap
from obs.logstore.logql.stages.stage import Runnable
from obs.logstore.logql.staging import read_behind, runnable
from obs.logstore.logql.syntax import (
    Binary,
    Comparison,
    Grouping,
    LabelFilter,
    LabelReplace,
    LogQuery,
    LogRange,
    Matching,
    Metric,
    Number,
    RangeAggregation,
    Stage,
    Unit,
    Variants,
    VectorAggregation,
)
from obs.logstore.logql.units import duration_text
from obs.logstore.selection import Requirement
from obs.model.labels import Labels, Matcher, MatchOp, make_labels


@dataclass(frozen=True, slots=True)
class LogPlan:
    """Read streams by `matchers`, skip what `requirements` rule out, run `stages` in order."""

    matchers: tuple[Matcher, ...]
    requirements: tuple[Requirement, ...]
    syntax: tuple[Stage, ...]
    stages: tuple[Runnable, ...]

    def lines(self) -> Iterator[str]:
        """The plan as text, first step first."""
        matchers = ", ".join(f"{m.name}{m.op.value}{m.value!r}" for m in self.matchers) or "all"
        yield f"scan streams: {matchers}"
        for need in self.requirements:
            counts = f"{len(need.needle.hashes)} tokens, {len(need.needle.trigrams)} trigrams"
            yield f"  prune row groups: {counts} in {' or '.join(need.fields)}"
        yield from (f"  {stage}" for stage in self.syntax)


@dataclass(frozen=True, slots=True)
class RangePlan:
    """Records into windows: a row a group, a column a step.

    `by` names the labels that make a group; None: the stream's labels, labels that stages made, and `extra`.
    """

    op: str
    log: LogPlan
    range_ns: int
    offset_ns: int
    by: tuple[str, ...] | None
    extra: tuple[str, ...] = ()
    unwrap: Unwrap | None = None
    after: tuple[Runnable, ...] = ()
    parameter: float | None = None
    without: tuple[str, ...] = ()  # labels that make no group where `by` is None
    fixed: Labels = ()  # labels that the selector fixes, which an absent series has

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        by = "stream" if self.by is None else f"({', '.join(self.by)})"
        by += f" without ({', '.join(self.without)})" if self.without else ""
        more = f" and ({', '.join(self.extra)})" if self.extra else ""
        of = f" of {self.unwrap.name}" if self.unwrap else ""
        yield f"{self.op}{of} over {duration_text(self.range_ns)}, grouped by {by}{more}"
        yield from (f"  {line}" for line in self.log.lines())


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    """Rows of a matrix into fewer."""

    op: str
    grouping: Grouping | None
    parameter: int | None
    inner: MetricPlan

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        yield f"{self.op} {self.grouping or Grouping(())}"
        yield from (f"  {line}" for line in self.inner.lines())


@dataclass(frozen=True, slots=True)
class BinaryPlan:
    """Two matrices or scalars into one."""

    op: str
    returns_bool: bool
    left: MetricPlan
    right: MetricPlan
    matching: Matching | None = None

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        yield f"binary {self.op}{' bool' if self.returns_bool else ''}{f' {self.matching}' if self.matching else ''}"
        yield from (f"  {line}" for side in (self.left, self.right) for line in side.lines())


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """A constant."""

    value: float
    vector: bool

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        yield f"{'vector' if self.vector else 'number'} {self.value:g}"


@dataclass(frozen=True, slots=True)
class ReplacePlan:
    """Rows with a label made from another."""

    syntax: LabelReplace
    inner: MetricPlan

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        yield f"label_replace {self.syntax.to} from {self.syntax.source}"
        yield from (f"  {line}" for line in self.inner.lines())


@dataclass(frozen=True, slots=True)
class VariantsPlan:
    """Matrices under each other, told apart by a label."""

    variants: tuple[MetricPlan, ...]

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        yield "variants"
        yield from (f"  {line}" for variant in self.variants for line in variant.lines())


MetricPlan = RangePlan | AggregatePlan | BinaryPlan | NumberPlan | ReplacePlan | VariantsPlan


ADDITIVE = frozenset(("count_over_time", "rate", "bytes_over_time", "bytes_rate"))
"""Aggregations of which the sum over groups is that of all their records."""


FOLDED = frozenset((("sum", "sum_over_time"), ("sum", "rate"), ("min", "min_over_time"), ("max", "max_over_time")))
"""Aggregations of series, and those of samples, that are one when they come after each other."""


def plan_records(query: LogQuery, stream_labels: frozenset[str], needed: frozenset[str] | None = None) -> LogPlan:
    """How to find a query's records; matchers on what is not a stream's label become filters of records.

    `needed`: the labels that are looked at behind its stages; None: all.
    """
    on_stream = tuple(m for m in query.matchers if m.name in stream_labels)
    on_record = tuple(_as_filter(m) for m in query.matchers if m.name not in stream_labels)
    syntax: tuple[Stage, ...] = (*on_record, *query.stages)
    stages = runnable(syntax, needed)
    return LogPlan(on_stream, tuple(_requirements(stages)), syntax, stages)


def _as_filter(m: Matcher) -> LabelFilter:
    return LabelFilter(Comparison(m.name, m.op.value, Unit.TEXT, m.value, 0.0, f'"{m.value}"'))


def _requirements(stages: tuple[Runnable, ...]) -> Iterator[Requirement]:
    """What every record of the answer must hold, as the filters know it.

    A label of a parser may hide a stored one of its name, so of what comes after a parser only that is asked for
    which the parser itself vouches for.
    """
    for stage in stages:
        yield from stage.requirements()
        if stage.makes_labels:
            return


def run_stages(plan: LogPlan, rows: Rows) -> Rows:
    """The rows that all stages let through."""
    return run_some(plan.stages, rows)


def run_some(stages: tuple[Runnable, ...], rows: Rows) -> Rows:
    """The rows that some stages let through."""
    for stage in stages:
        if not len(rows):
            break
        rows = stage.apply(rows)
    return rows


def plan_metric(query: Metric, stream_labels: frozenset[str], extra: tuple[str, ...] = ()) -> MetricPlan:
    """How to compute a metric query; `extra` are labels that aggregations further out name."""
    match query:
        case Number():
            return NumberPlan(query.value, query.vector)
        case Binary():
            left = plan_metric(query.left, stream_labels, extra)
            right = plan_metric(query.right, stream_labels, extra)
            return BinaryPlan(query.op, query.returns_bool, left, right, query.matching)
        case LabelReplace():
            return ReplacePlan(query, plan_metric(query.inner, stream_labels, (*extra, query.source)))
        case RangeAggregation():
            by = query.grouping.names if query.grouping and not query.grouping.without else None
            by = () if query.op == "absent_over_time" else by
            return _plan_range(query, stream_labels, by, extra if by is None else ())
        case Variants():
            return VariantsPlan(tuple(plan_metric(within(v, query.of), stream_labels) for v in query.inner))
        case VectorAggregation():
            return _plan_aggregation(query, stream_labels, extra)


def within(metric: Metric, of: LogRange) -> Metric:
    """The metric of those records alone that another query lets through."""
    match metric:
        case RangeAggregation():
            own = metric.query
            matchers = tuple(dict.fromkeys((*of.query.matchers, *own.matchers)))
            return replace(metric, query=LogQuery(matchers, (*of.query.stages, *own.stages)))
        case Binary():
            return replace(metric, left=within(metric.left, of), right=within(metric.right, of))
        case VectorAggregation() | LabelReplace():
            return replace(metric, inner=within(metric.inner, of))
    return metric


def _plan_range(
    query: RangeAggregation, stream_labels: frozenset[str], by: tuple[str, ...] | None, extra: tuple[str, ...] = ()
) -> RangePlan:
    after = runnable(query.after)
    named = None if by is None else frozenset((*by, *((query.unwrap.name,) if query.unwrap else ())))
    log = plan_records(query.query, stream_labels, read_behind(query.after, named))
    without = query.grouping.names if query.grouping and query.grouping.without else ()
    fixed = make_labels({m.name: m.value for m in query.query.matchers if m.op is MatchOp.EQ and m.value})
    return RangePlan(
        query.op, log, query.range_ns, query.offset_ns, by, tuple(n for n in extra if n not in without),
        query.unwrap, after, query.parameter, without, fixed,
    )  # fmt: skip


def _plan_aggregation(query: VectorAggregation, stream_labels: frozenset[str], extra: tuple[str, ...]) -> MetricPlan:
    grouping = query.grouping
    names = grouping.names if grouping and not grouping.without else ()
    if _pushes(query, (*names, *extra)):
        inner = query.inner
        assert isinstance(inner, RangeAggregation)
        return _plan_range(inner, stream_labels, names)
    further = tuple(dict.fromkeys((*names, *extra)))
    return AggregatePlan(query.op, grouping, query.parameter, plan_metric(query.inner, stream_labels, further))


def _pushes(query: VectorAggregation, names: tuple[str, ...]) -> bool:
    """Whether counting or folding by the outer labels at once gives the same; what is unwrapped makes no group."""
    inner = query.inner
    if not isinstance(inner, RangeAggregation) or inner.grouping or (query.grouping and query.grouping.without):
        return False
    if inner.unwrap is None:
        return query.op == "sum" and inner.op in ADDITIVE
    return (query.op, inner.op) in FOLDED and inner.unwrap.name not in names
