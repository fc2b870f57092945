"""A metric over head and blocks: spans that the pipeline ends with, counted by series and step, part by part.

Where each span tells by itself whether and how it counts, it is counted where it stands, the last of those sent again.
Else traces with spans in several places are taken out of each and counted put together, some at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from obs.tracestore import limits
from obs.tracestore.bounds import trace_bound
from obs.tracestore.evaluate import SpanRows, evaluate
from obs.tracestore.expressions import any_of_trace, names_trace
from obs.tracestore.ids import Words, distinct_ids
from obs.tracestore.matching import groups_of, pieces
from obs.tracestore.nested import hex_text
from obs.tracestore.query import ReadStats
from obs.tracestore.repeats import NO_ROWS
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.splitrows import put_together
from obs.tracestore.splits import shared
from obs.tracestore.traceql.metrics.cells import Cells, Key, Rows, Values
from obs.tracestore.traceql.metrics.combined import Combined, measured
from obs.tracestore.traceql.metrics.compare import Comparison
from obs.tracestore.traceql.metrics.metric import Metric
from obs.tracestore.traceql.metrics.series import Exemplar, Measured, Series, thinned
from obs.tracestore.traceql.metrics.window import Window

if TYPE_CHECKING:
    from obs.tracestore.traceql.plan import Plan

Mask = npt.NDArray[np.bool_]
Found = dict[Key, list[Exemplar]]


@dataclass(frozen=True, slots=True)
class Places:
    """What is measured: places in the order they were written. `split_keys` as `SplitTraces.keys`.

    `repeats` gives of each place the rows that a later one supersedes.
    """

    sources: Sequence[Source]
    split_keys: Words
    repeats: Callable[[], Sequence[Rows]]


def measure(places: Places, plan: Plan, window: Window, exemplars: int) -> Measured:
    """The series of a plan with a metric. Raises: QueryLimit."""
    assert plan.metric is not None
    if isinstance(plan.metric, Combined):
        ask = partial(measure, places, window=window, exemplars=exemplars)
        combined = measured(plan.metric, ask, window, exemplars)
        return replace(combined, series=_later(plan, combined.series))
    stats = ReadStats()
    metric, cells, found = plan.metric, plan.metric.cells(window.steps), Found()
    sources, split_keys, superseded = places.sources, places.split_keys, [NO_ROWS for _ in places.sources]
    if _span_by_span(plan):
        split_keys, superseded = split_keys[:0], list(places.repeats())
    with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
        wanted = [_wanted(source, split_keys, plan, window) for source in sources]
        count = partial(_of_source, plan=plan, window=window, exemplars=exemplars)
        parts = pool.map(count, sources, wanted, superseded)
        for counted, examples, read in parts:
            cells.merge(counted)
            _add(found, examples)
            stats.rows_read += read.rows_read
            stats.row_groups_read += read.row_groups_read
    for joined in _split_traces(sources, split_keys, plan, window):
        stats.traces_joined += len(joined.traces)
        every = np.ones(len(joined.traces), bool)
        counted, examples, _ = _of_source(joined, every, NO_ROWS, plan, window, exemplars)
        cells.merge(counted)
        _add(found, examples)
    series = [replace(s, exemplars=thinned(found.pop(key, []), exemplars)) for key, s in metric.series(cells, window)]
    return Measured(_later(plan, series), window, stats)


def _span_by_span(plan: Plan) -> bool:
    """Whether a span is counted by what it is itself, whatever else its trace has."""
    return isinstance(plan.metric, Metric) and not (names_trace(plan.where) or any_of_trace(plan.metric.fields()))


def _later(plan: Plan, series: Sequence[Series]) -> Sequence[Series]:
    for later in plan.later:
        series = later.apply(series)
    return series


def _wanted(source: Source, split_keys: Words, plan: Plan, window: Window) -> Mask:
    """Traces that stand whole in the source, may have a span of the pipeline and overlap the window."""
    return (
        _overlapping(source, window) & trace_bound(plan.where, source.traces).may & ~shared(source.traces, split_keys)
    )


def _overlapping(source: Source, window: Window) -> Mask:
    t = source.traces
    found: Mask = (t.start <= window.end_ns) & (t.last_start > window.first_ns)
    return found


def _of_source(
    source: Source, wanted: Mask, superseded: Rows, plan: Plan, window: Window, exemplars: int
) -> tuple[Cells, Found, ReadStats]:
    """(cells, exemplars, what was read) of the wanted traces of one place, without the superseded rows."""
    assert isinstance(plan.metric, Metric | Comparison)
    cells, found, read = plan.metric.cells(window.steps), Found(), ReadStats()
    for piece in pieces(source, wanted) if wanted.any() else ():
        rows = SpanRows(source, groups_of(source, piece))
        read.rows_read += len(rows)
        read.row_groups_read += len(rows.groups)
        mask = np.repeat(piece[rows.slices.ids], np.diff(rows.slices.starts))
        mask[rows.among(superseded)] = False
        if plan.where is not None:
            mask &= evaluate(plan.where, rows)
        hits = np.flatnonzero(mask)
        step = window.step_of(rows.numbers("start_ns")[hits])
        inside = (step >= 0) & (step < window.steps)
        hits, step = hits[inside], step[inside]
        number, keys, shown, values = plan.metric.count(cells, rows, hits, step)
        if exemplars and len(shown):
            own = None if plan.metric.term is None else values
            _add(found, _exemplars(rows, number, keys, shown, own, window, exemplars))
    return cells, found, read


def _exemplars(
    rows: SpanRows, number: Rows, keys: Sequence[Key], hits: Rows, values: Values | None, window: Window, most: int
) -> Found:
    """The first span of each series and step, of so many as are wanted."""
    step = window.step_of(rows.numbers("start_ns")[hits])
    _, first = np.unique(number * window.steps + step, return_index=True)
    first = first[np.linspace(0, len(first) - 1, min(most, len(first))).astype(np.int64)]
    column = rows.column("trace_id")
    assert column is not None
    ids = hex_text(column.take(hits[first])).to_pylist()
    starts = rows.numbers("start_ns")[hits[first]].tolist()
    found: Found = {}
    for i, at in enumerate(first.tolist()):
        group, _ = keys[int(number[at])]
        value = None if values is None else float(values[at])
        found.setdefault((group, 0), []).append(Exemplar(ids[i], starts[i], int(step[at]), value))
    return found


def _add(found: Found, more: Found) -> None:
    for key, examples in more.items():
        found.setdefault(key, []).extend(examples)


def _split_traces(sources: Sequence[Source], split_keys: Words, plan: Plan, window: Window) -> Iterator[MemorySource]:
    """Traces that stand in several places and overlap the window in one of them, put together."""
    if not len(split_keys):
        return
    assert isinstance(plan.metric, Metric | Comparison)
    compared = plan.metric.fields_in(sources) if isinstance(plan.metric, Comparison) else ()
    fields = (*plan.pipeline.fields(), *plan.metric.fields(), *compared)
    split = [(s.traces, shared(s.traces, split_keys) & _overlapping(s, window)) for s in sources]
    high, low = distinct_ids(*(np.concatenate([getattr(t, word)[at] for t, at in split]) for word in ("high", "low")))
    for first in range(0, len(high), limits.TRACES_JOINED_AT_ONE_TIME):
        some = slice(first, first + limits.TRACES_JOINED_AT_ONE_TIME)
        yield put_together(sources, high[some], low[some], fields)


def finished_value(series: Series, exemplar: Exemplar) -> float:
    """The value that an exemplar is shown at."""
    return float(series.values[exemplar.step]) if exemplar.value is None else exemplar.value
