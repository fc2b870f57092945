"""Calls, errors and latencies of services over time, worked out from the stored spans: no second database.

In: `MonitorQuery`, the sources. Out: one `Series` a service (or operation), a value a step. A span counts where it
starts; the window of a step t is (t - rate, t]. Only columns that the question needs are read; each span counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from obs.columnar.head import concatenate
from obs.tracestore import limits
from obs.tracestore.evaluate import SpanRows, evaluate
from obs.tracestore.expressions import And, Expr, all_of
from obs.tracestore.ids import Words
from obs.tracestore.matching import groups_of
from obs.tracestore.names import ERROR, NO_SERVICE, SERVICE
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

    def bins(self, starts: Times) -> npt.NDArray[np.uint16]:
        """The bin of each start after the first edge and up to the last; by division where edges are even."""
        width = int(self.edges[1] - self.edges[0])
        if (np.diff(self.edges) != width).any():
            return np.searchsorted(self.edges, starts).astype(np.uint16)
        return ((starts - self.edges[0] - 1) // width + 1).astype(np.uint16)

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
    tables, where = [], all_of(query.where)
    parts: list[tuple[Source, Mask]] = []
    for source in sources:
        split = shared(source.traces, split_keys)
        if split.any():
            tables.append(split_rows.rows(source, split, where))
        parts.append((source, split))
    if tables:
        joined = MemorySource("split", concatenate(tables))
        parts.append((joined, np.zeros(len(joined.traces), bool)))
    with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
        found = pool.map(lambda part: _spans(part[0], part[1], query, windows), parts)
        yield from (spans for spans in found if spans is not None)


def _spans(source: Source, split: Mask, query: MonitorQuery, windows: _Windows) -> _Spans | None:
    """Those of one place but for its split traces; None where there are none."""
    t, first, last = source.traces, int(windows.edges[0]), int(windows.edges[-1])
    wanted = (t.start <= last) & (t.last_start > first) & ~split
    if NO_SERVICE not in query.services and not set(t.services) <= set(query.services):
        wanted &= np.logical_or.reduce([t.with_service(s) for s in query.services])
    if not wanted.any():
        return None
    rows = SpanRows(source, groups_of(source, wanted))
    service, services = codes_of(rows.column(SERVICE), len(rows))
    codes = service + 1
    keep = np.array([s in query.services for s in (NO_SERVICE, *services)])[codes]
    if query.kinds:
        keep &= np.isin(np.arange(256), query.kinds)[rows.numbers("kind")]
    if keep.any() and (t.start.min() <= first or t.last_start.max() > last):
        start = rows.numbers("start_ns")
        keep &= (start > first) & (start <= last)
    if keep.any() and split.any():
        keep &= ~split[rows.trace]
    if keep.any() and query.where:
        keep &= evaluate(And(tuple(query.where)), rows)
    return _read(rows, codes, services, keep, query, windows) if keep.any() else None


def _read(
    rows: SpanRows, codes: npt.NDArray[np.int32], services: list[str], keep: Mask, query: MonitorQuery,
    windows: _Windows,
) -> _Spans:  # fmt: skip
    """The columns that the question needs, at the rows to keep."""
    start, nothing = rows.numbers("start_ns")[keep], np.zeros(0, np.int64)
    keys, group = _grouped(rows, codes[keep].astype(np.int64), services, keep, query.by_operation)
    return _Spans(
        keys, group, windows.bins(start),
        rows.numbers("status_code")[keep] == ERROR if query.kind == "errors" else nothing.astype(bool),
        np.maximum(rows.numbers("end_ns")[keep] - start, 0) if query.kind == "latencies" else nothing,
    )  # fmt: skip


def _grouped(
    rows: SpanRows, code: Times, services: list[str], keep: Mask, by_operation: bool
) -> tuple[list[Key], npt.NDArray[np.int64]]:
    """(service, operation) pairs, and for each row the position of its own; `code` is the service's, from 1."""
    width, names = 1, list[str]()
    if by_operation:
        name, names = codes_of(rows.column("name"), len(rows))
        width = len(names) + 1
        code = code * width + name[keep] + 1
    seen, group = _places_of(code, (len(services) + 1) * width)
    keys: list[Key] = []
    for pair in seen.tolist():
        above, below = divmod(pair, width)
        operation = (names[below - 1] if below else "") if by_operation else None
        keys.append((services[above - 1] if above else NO_SERVICE, operation))
    return keys, group


def _places_of(codes: Times, size: int) -> tuple[Times, Times]:
    """The distinct codes below `size`, sorted, and for each code its place among them."""
    if size > 8 * len(codes) + 4096:
        seen, place = np.unique(codes, return_inverse=True)
        return seen, place
    seen = np.flatnonzero(np.bincount(codes, minlength=size))
    table = np.zeros(size, np.int64)
    table[seen] = np.arange(len(seen))
    return seen, table[codes]
