"""Calls, errors and latencies of services over time, worked out from the stored spans: no second database.

In: `MonitorQuery`, the sources. Out: one `Series` a service (or operation), a value a step. A span counts where it
starts; the window of a step t is (t - rate, t]. Only columns that the question needs are read; each span counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from obs.columnar.head import concatenate
from obs.tracestore import limits
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import Compare, Expr, Intrinsic, Or, all_of
from obs.tracestore.ids import Words
from obs.tracestore.matching import Condition, groups_of, matching_rows
from obs.tracestore.names import ERROR, NO_SERVICE, SERVICE
from obs.tracestore.query import service_condition
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.spancolumns import codes_of
from obs.tracestore.splitrows import SplitRows
from obs.tracestore.splits import Mask, shared
from obs.tracestore.windowquantiles import window_quantiles

Kind = Literal["calls", "errors", "latencies"]
Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MonitorQuery:
    """What is asked; times in ns. `kinds` are OTLP span kinds, none: all. `quantile` is for latencies."""

    kind: Kind
    services: Sequence[str]
    end_ns: int
    lookback_ns: int
    step_ns: int
    rate_ns: int
    kinds: Sequence[int] = ()
    by_operation: bool = False
    quantile: float = 0.95
    where: Sequence[Expr] = field(default_factory=tuple)

    def steps(self) -> Times:
        """The times that values are told for: int64[steps], the first at the beginning of the lookback."""
        return np.arange(self.end_ns - self.lookback_ns, self.end_ns + 1, self.step_ns, dtype=np.int64)

    def expression(self) -> Expr | None:
        """The spans that count, but for their time."""
        services = [service_condition(s) for s in self.services]
        kinds = [Compare(Intrinsic("kind"), "=", k) for k in self.kinds]
        return all_of([_any(services), _any(kinds), *self.where])


def _any(items: Sequence[Expr]) -> Expr | None:
    return Or(tuple(items)) if len(items) > 1 else items[0] if items else None


@dataclass(frozen=True, slots=True)
class Series:
    """One service's (operation's) values: float64[steps]; NaN where a share or a quantile is of no call."""

    service: str
    operation: str | None
    values: Values


@dataclass(frozen=True, slots=True)
class _Windows:
    """Bins between all starts and ends of windows: a window is the bins after `low` up to `high`."""

    edges: Times
    low: Times  # int64[steps]
    high: Times

    @classmethod
    def of(cls, query: MonitorQuery) -> _Windows:
        steps = query.steps()
        edges = np.unique(np.concatenate([steps, steps - query.rate_ns]))
        return cls(edges, np.searchsorted(edges, steps - query.rate_ns), np.searchsorted(edges, steps))

    def summed(self, binned: npt.NDArray[np.int64]) -> Values:
        """Counts by bin, int64[bins], as counts by window."""
        total = np.cumsum(binned)
        return (total[self.high] - total[self.low]).astype(np.float64)


Key = tuple[str, str | None]  # service, operation


@dataclass(frozen=True, slots=True)
class _Spans:
    """Spans that count, one entry each, of one place: bin, group (into `keys`), error, duration (of latencies)."""

    keys: Sequence[Key]
    group: npt.NDArray[np.int64]
    bin: npt.NDArray[np.uint16]
    error: Mask
    duration: Times


def monitor(sources: Sequence[Source], split_keys: Words, split_rows: SplitRows, query: MonitorQuery) -> list[Series]:
    """Series by service and operation, sorted; those with most calls, where operations are more than a page holds."""
    windows = _Windows.of(query)
    found = list(_places(sources, split_keys, split_rows, query, windows))
    keys = _busiest(found)
    place = {key: i for i, key in enumerate(keys)}
    groups = [np.array([place.get(k, -1) for k in s.keys], np.int64)[s.group] for s in found]
    kept = [group >= 0 for group in groups]
    group = _joined([g[k] for g, k in zip(groups, kept, strict=True)])
    bins = _joined([s.bin[k] for s, k in zip(found, kept, strict=True)])
    if query.kind == "latencies":
        duration = _joined([s.duration[k] for s, k in zip(found, kept, strict=True)])
        values = _latencies(group, bins, duration, windows, query.quantile, len(keys))
    else:
        error = _joined([s.error[k] for s, k in zip(found, kept, strict=True)]) if query.kind == "errors" else None
        values = _rates(group, bins, error, windows, query, len(keys))
    return [Series(*key, v) for key, v in zip(keys, values, strict=True)]


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _busiest(found: Sequence[_Spans]) -> list[Key]:
    """The services (operations) with most calls, sorted by name."""
    calls: Counter[Key] = Counter()
    for spans in found:
        calls.update(dict(zip(spans.keys, np.bincount(spans.group).tolist(), strict=True)))
    most = [key for key, _ in calls.most_common(limits.MONITOR_SERIES)]
    return sorted(most, key=lambda key: (key[0], key[1] or ""))


def _rates(
    group: Times, bins: npt.NDArray[np.uint16], error: Mask | None, windows: _Windows, query: MonitorQuery, keys: int
) -> Iterator[Values]:
    """Calls a second, or where `error` is given the share of calls that failed."""
    width = len(windows.edges)
    cell = group * width + bins
    calls = np.bincount(cell, minlength=keys * width).reshape(keys, width)
    failed = calls if error is None else np.bincount(cell[error], minlength=keys * width).reshape(keys, width)
    for key in range(keys):
        total = windows.summed(calls[key])
        if error is None:
            yield total / (query.rate_ns / 1e9)
        else:
            yield np.divide(windows.summed(failed[key]), total, out=np.full(len(total), np.nan), where=total > 0)


def _latencies(
    group: Times, bins: npt.NDArray[np.uint16], duration: Times, windows: _Windows, quantile: float, keys: int
) -> Iterator[Values]:
    """Quantiles of durations, in ns."""
    order = np.argsort(bins, kind="stable")
    if keys > 1:
        order = order[np.argsort(group[order].astype(np.uint16), kind="stable")]
    group = group[order]
    for key in range(keys):
        mine = order[np.searchsorted(group, key) : np.searchsorted(group, key, side="right")]
        yield window_quantiles(bins[mine], duration[mine], windows.low, windows.high, quantile)


def _places(
    sources: Sequence[Source], split_keys: Words, split_rows: SplitRows, query: MonitorQuery, windows: _Windows
) -> Iterator[_Spans]:
    """The spans that count of each place; split traces are taken out of all and counted once, put together."""
    expr = query.expression()
    condition = Condition(expr, int(windows.edges[0]) + 1, int(windows.edges[-1]))
    tables = []
    for source in sources:
        split = shared(source.traces, split_keys)
        if split.any():
            tables.append(split_rows.rows(source, split, expr))
        yield from _spans(source, condition, split, query, windows)
    if tables:
        joined = MemorySource("split", concatenate(tables))
        yield from _spans(joined, condition, np.zeros(len(joined.traces), bool), query, windows)


def _spans(
    source: Source, condition: Condition, split: Mask, query: MonitorQuery, windows: _Windows
) -> Iterator[_Spans]:
    t = source.traces
    wanted = (t.start <= condition.end_ns) & (t.last_start >= condition.start_ns) & ~split
    if NO_SERVICE not in query.services:
        wanted &= np.logical_or.reduce([t.with_service(s) for s in query.services])
    if not wanted.any():
        return
    rows = SpanRows(source, groups_of(source, wanted))
    hits = matching_rows(rows, condition)
    if split.any():
        hits = hits[~split[rows.trace[hits]]]
    if len(hits):
        yield _read(rows, hits, query, windows)


def _read(rows: SpanRows, hits: Times, query: MonitorQuery, windows: _Windows) -> _Spans:
    """The columns that the question needs, at these rows."""
    start, nothing = rows.numbers("start_ns")[hits], np.zeros(0, np.int64)
    keys, group = _grouped(rows, hits, query.by_operation)
    return _Spans(
        keys, group, np.searchsorted(windows.edges, start).astype(np.uint16),
        rows.numbers("status_code")[hits] == ERROR if query.kind == "errors" else nothing.astype(bool),
        np.maximum(rows.numbers("end_ns")[hits] - start, 0) if query.kind == "latencies" else nothing,
    )  # fmt: skip


def _grouped(rows: SpanRows, hits: Times, by_operation: bool) -> tuple[list[Key], npt.NDArray[np.int64]]:
    """(service, operation) pairs, and for each row the position of its own."""
    service, services = codes_of(rows.column(SERVICE), len(rows))
    code, width = service[hits].astype(np.int64) + 1, 1
    names: list[str] = []
    if by_operation:
        name, names = codes_of(rows.column("name"), len(rows))
        width = len(names) + 1
        code = code * width + name[hits] + 1
    seen, group = np.unique(code, return_inverse=True)
    keys: list[Key] = []
    for pair in seen.tolist():
        above, below = divmod(pair, width)
        operation = (names[below - 1] if below else "") if by_operation else None
        keys.append((services[above - 1] if above else NO_SERVICE, operation))
    return keys, group
