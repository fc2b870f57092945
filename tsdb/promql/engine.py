"""PromQL over a SampleSource: text → plan → columns → result. One object serves all threads.

In: a query and its times in milliseconds. Out: a `Result`. Raises: QueryError, QueryLimit, QueryTimeout.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from obs.errors import QueryError, QueryLimit
from obs.model.ports import SampleSource, VectorSample
from obs.tsdb.changes import Changes
from obs.tsdb.promql import plan as plans
from obs.tsdb.promql import result as results
from obs.tsdb.promql.annotations import Annotations
from obs.tsdb.promql.check import before_run
from obs.tsdb.promql.context import ExecutionError, Frame, Query, QueryOptions
from obs.tsdb.promql.histogram_hints import without_buckets
from obs.tsdb.promql.kept import KeptAnswers, sees_ahead
from obs.tsdb.promql.parse import parse
from obs.tsdb.promql.result import Result
from obs.tsdb.promql.values import I64, Scalar, Steps, Text, Vector, Windows

if TYPE_CHECKING:
    from obs.tsdb.promql.counting import Counts


class PromQL:
    """Evaluates queries; implements `obs.model.ports.Evaluator`."""

    def __init__(
        self, source: SampleSource, options: QueryOptions | None = None, changes: Changes | None = None
    ) -> None:
        """`changes`: of the source; with it, answers to range queries are kept."""
        self.source = source
        self.kept = None if changes is None else KeptAnswers(changes)
        self.options = options or QueryOptions()

    def set_subquery_step(self, step_ms: int) -> None:
        """The step of subqueries that name none, from the next query on."""
        if step_ms != self.options.subquery_step_ms:
            self.options = replace(self.options, subquery_step_ms=step_ms)
            if self.kept is not None:
                self.kept.clear()

    def instant(self, query: str, t_ms: int) -> Sequence[VectorSample]:
        """The vector at `t_ms`; histograms are left out."""
        found = self.query(query, t_ms)
        if found.kind not in ("vector", "scalar"):
            raise QueryError(
                f"cannot evaluate {query!r} as a rule: it is a {found.kind}; rules need a vector or a scalar"
            )
        rows = zip(found.labels, found.values[:, 0].tolist(), found.present[:, 0].tolist(), strict=True)
        floats = [True] * len(found.labels) if found.hists is None else [h is None for h in found.hists[:, 0]]
        return [VectorSample(ls, t_ms, v) for (ls, v, p), f in zip(rows, floats, strict=True) if p and f]

    def query(
        self,
        query: str,
        t_ms: int,
        lookback_ms: int | None = None,
        timeout_s: float | None = None,
        use_starts: bool | None = None,
    ) -> Result:
        """Evaluate at one time; `use_starts`: heed start timestamps, where that is said."""
        steps = Steps(t_ms, t_ms, 0)
        return self._evaluate(query, parse(query), steps, True, self._options(lookback_ms, timeout_s, use_starts))

    def query_range(
        self,
        query: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        lookback_ms: int | None = None,
        timeout_s: float | None = None,
        anew: bool = False,
        use_starts: bool | None = None,
    ) -> Result:
        """Evaluate at start, start + step … up to end; `anew`: without what is kept of earlier answers."""
        steps = self._grid(start_ms, end_ms, step_ms)
        plan = parse(query, step_ms, end_ms - start_ms)
        if not results.range_kind(plan.kind):
            kind = plan.kind.value
            raise QueryError(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')

        options = self._options(lookback_ms, timeout_s, use_starts)

        def evaluate(steps: Steps) -> Result:
            return self._evaluate(query, plan, steps, False, options)

        ahead_ms = None if self.kept is None or anew else sees_ahead(plan)
        if self.kept is None or ahead_ms is None:
            return evaluate(steps)
        return self.kept.answer(
            (query, step_ms, start_ms % step_ms, lookback_ms, options.use_starts), steps, ahead_ms, evaluate
        )

    def counts(
        self, query: str, times_ms: tuple[int, int, int], lookback_ms: int | None = None, timeout_s: float | None = None
    ) -> tuple[I64, Counts]:
        """The steps' times, and how many samples each looks at: at start, end and step (0: one). Raises: QueryError."""
        from obs.tsdb.promql.counting import counts
        from obs.tsdb.promql.execute import run

        steps, options = Steps(*times_ms), self._options(lookback_ms, timeout_s, None)
        plan = parse(query, steps.step_ms, steps.end_ms - steps.start_ms) if steps.step_ms else parse(query)
        running = Query(self.source, options, Annotations(query), steps, time.monotonic() + options.timeout_s)
        return steps.times, counts(Frame(running, steps, run), plan)

    def check(self, query: str) -> None:
        """Whether a rule may use a query: it parses, and gives a vector or a scalar. Raises: QueryError."""
        kind = parse(query).kind
        if not results.range_kind(kind):
            raise QueryError(
                f"cannot evaluate {query!r} as a rule: it is a {kind.value}; rules need a vector or a scalar"
            )

    def explain(self, query: str) -> str:
        """The plan as a tree of text."""
        return plans.explain(parse(query))

    def _grid(self, start_ms: int, end_ms: int, step_ms: int) -> Steps:
        if end_ms < start_ms:
            raise QueryError("end timestamp must not be before start time")
        if step_ms <= 0:
            raise QueryError("zero or negative query resolution step widths are not accepted. Try a positive integer")
        steps = Steps(start_ms, end_ms, step_ms)
        if (end_ms - start_ms) // step_ms > self.options.max_points:
            raise QueryError(
                f"exceeded maximum resolution of {self.options.max_points:,} points per timeseries."
                " Try decreasing the query resolution (?step=XX)"
            )
        return steps

    def _options(self, lookback_ms: int | None, timeout_s: float | None, use_starts: bool | None) -> QueryOptions:
        """Those of the engine, with what one query says of itself."""
        own = self.options
        return replace(
            own,
            lookback_ms=own.lookback_ms if lookback_ms is None else lookback_ms,
            timeout_s=own.timeout_s if timeout_s is None else min(timeout_s, own.timeout_s),
            use_starts=own.use_starts if use_starts is None else use_starts,
        )

    def _evaluate(self, text: str, plan: plans.Node, steps: Steps, instant: bool, options: QueryOptions) -> Result:
        from obs.tsdb.promql.execute import run  # the table of operators, read at the first query

        began = time.monotonic()
        starts = self.source if options.use_starts else None
        notes = Annotations(text)
        query = Query(
            self.source, options, notes, steps, began + options.timeout_s, starts=starts, needless=without_buckets(plan)
        )
        try:
            before_run(plan)
            found = _result(Frame(query, steps, run).value(plan), steps, instant)
        except QueryError as e:
            raise ExecutionError(str(e)) from e
        if found.present.size > options.max_samples:
            raise QueryLimit("query processing would load too many samples into memory in query execution")
        stats = {**query.stats, "seconds": time.monotonic() - began}
        return replace(found, warnings=notes.warnings, infos=notes.infos, stats=stats)


def _result(value: object, steps: Steps, instant: bool) -> Result:
    if isinstance(value, Vector):
        return results.of_vector(value, steps.times, instant)
    if isinstance(value, Scalar):
        return results.of_scalar(value, steps.times, instant)
    if isinstance(value, Text):
        return results.of_text(value, steps.times)
    assert isinstance(value, Windows)
    return results.of_windows(value)
