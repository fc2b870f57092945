"""Search over head and blocks: every source gives its matching traces, all of them are ordered, the first are answered.

A trace with spans in several places counts by its extremes until it is its turn; then it is put together and matched
again, so what is answered is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.expressions import names_trace
from obs.tracestore.ids import Words, words_id
from obs.tracestore.matching import Condition, matching
from obs.tracestore.query import Found, ReadStats, TraceQuery, TraceSummary
from obs.tracestore.reading import Trace, summary_of
from obs.tracestore.sources import MemorySource, Rows, Source
from obs.tracestore.splits import shared

Times = npt.NDArray[np.int64]
ReadTrace = Callable[[bytes], Trace | None]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Matching traces, one entry each; `source` is -1 where the trace is split and has to be put together."""

    high: Words
    low: Words
    source: Times
    position: Times
    value: Times  # what is ordered by

    def __len__(self) -> int:
        return len(self.high)

    def take(self, rows: Rows) -> Candidates:
        """These entries, in this order."""
        return Candidates(*(getattr(self, name)[rows] for name in self.__slots__))


def search(sources: Sequence[Source], split_keys: Words, read: ReadTrace, query: TraceQuery) -> Found:
    """The traces a query asks for. `split_keys` as `SplitTraces.keys`; `read` puts one trace together."""
    stats = ReadStats()
    condition = Condition(query.expression(), query.start_ns, query.end_ns)
    hits = match_sources(sources, condition, stats)
    if len(split_keys) and names_trace(condition.expr):
        hits = [np.union1d(h, np.flatnonzero(shared(s.traces, split_keys))) for s, h in zip(sources, hits, strict=True)]
    parts = [_candidates(s, i, h, split_keys, query) for i, (s, h) in enumerate(zip(sources, hits, strict=True))]
    found = _join(parts, sources, query)
    stats.traces_matched = len(found)
    ordered = _ordered(found, query)
    traces: list[tuple[int, TraceSummary]] = []
    more = False
    for value, summary in _exact(ordered, sources, read, condition, query, stats):
        if len(traces) == query.limit:
            more = True
            break
        traces.append((value, summary))
    token = _token(*traces[-1]) if more and traces else None
    return Found([summary for _, summary in traces], stats, token)


def match_sources(sources: Sequence[Source], condition: Condition, stats: ReadStats) -> list[Rows]:
    """For each source the positions of its matching traces."""
    each = [ReadStats() for _ in sources]

    def one(i: int) -> Rows:
        return matching(sources[i], condition, each[i])

    if len(sources) > 1:
        with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
            hits = list(pool.map(one, range(len(sources))))
    else:
        hits = [one(i) for i in range(len(sources))]
    for source, read in zip(sources, each, strict=True):
        stats.rows_read += read.rows_read
        stats.row_groups_read += read.row_groups_read
        if isinstance(source, MemorySource):
            stats.rows_head += len(source.order)
        else:
            stats.blocks_read += read.rows_read > 0
            stats.blocks_skipped += read.rows_read == 0
    return hits


def _candidates(source: Source, place: int, hits: Rows, split_keys: Words, query: TraceQuery) -> Candidates:
    t = source.traces
    by_order: dict[str, Times] = {
        "start": t.start,
        "duration": t.duration,
        "spans": t.spans,
        "errors": t.errors.astype(np.int64),
    }
    split = shared(t, split_keys)[hits] if len(split_keys) else np.zeros(len(hits), bool)
    where = np.where(split, -1, place).astype(np.int64)
    return Candidates(t.high[hits], t.low[hits], where, hits, by_order[query.order][hits])


def _join(parts: list[Candidates], sources: Sequence[Source], query: TraceQuery) -> Candidates:
    """All candidates; of a split trace one, with the value that its parts together have."""
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Candidates(nothing.astype(np.uint64), nothing.astype(np.uint64), nothing, nothing, nothing)
    whole = [p.take(np.flatnonzero(p.source >= 0)) for p in parts]
    ids = {words_id(h, lo) for p in parts for h, lo in _ids_of(p.take(np.flatnonzero(p.source < 0)))}
    if ids:
        whole.append(_joined(sorted(ids), sources, query))
    return Candidates(*(np.concatenate([getattr(p, n) for p in whole]) for n in Candidates.__slots__))


def _ids_of(candidates: Candidates) -> Iterator[tuple[int, int]]:
    return zip(candidates.high.tolist(), candidates.low.tolist(), strict=True)


def _joined(ids: list[bytes], sources: Sequence[Source], query: TraceQuery) -> Candidates:
    values = []
    for trace_id in ids:
        parts = [(s.traces, at) for s in sources if (at := s.traces.find(trace_id)) >= 0]
        start = min(int(t.start[at]) for t, at in parts)
        if query.order == "start":
            values.append(start)
        elif query.order == "duration":
            values.append(max(int(t.start[at] + t.duration[at]) for t, at in parts) - start)
        elif query.order == "spans":
            values.append(sum(int(t.spans[at]) for t, at in parts))
        else:
            values.append(sum(int(t.errors[at]) for t, at in parts))
    words = np.frombuffer(b"".join(ids), dtype=">u8").reshape(-1, 2).astype(np.uint64)
    nowhere = np.full(len(ids), -1, np.int64)
    return Candidates(words[:, 0], words[:, 1], nowhere, nowhere, np.array(values, np.int64))


def _ordered(found: Candidates, query: TraceQuery) -> Iterator[Candidates]:
    """Candidates in order (equal values by trace id), in growing pieces: mostly the first is enough."""
    sign = -1 if query.descending else 1
    keys = found.value * sign
    left = np.arange(len(found)) if query.after is None else np.flatnonzero(_behind(found, keys, query.after, sign))
    size = query.limit + limits.VERIFY_BATCH
    while len(left):
        piece, left = _least(found, keys, left, size)
        yield found.take(piece)
        size *= 4


def _least(found: Candidates, keys: Times, left: Rows, size: int) -> tuple[Rows, Rows]:
    """The first `size` (or a few more, where values are equal) of `left` in order, and the others."""
    if len(left) > size:
        edge = np.partition(keys[left], size - 1)[size - 1]
        near = keys[left] <= edge
        left, rest = left[near], left[~near]
    else:
        rest = left[:0]
    return left[np.lexsort((found.low[left], found.high[left], keys[left]))], rest


def _behind(found: Candidates, keys: Times, token: str, sign: int) -> npt.NDArray[np.bool_]:
    """Which candidates come after the page that `token` ended."""
    try:
        value, _, hex_id = token.partition("_")
        raw = bytes.fromhex(hex_id)
        key, high, low = int(value) * sign, *np.frombuffer(raw, dtype=">u8").astype(np.uint64)
    except ValueError:
        raise UserError(f"cannot continue after {token!r}: it is no token of this search; start anew") from None
    later_id = (found.high > high) | ((found.high == high) & (found.low > low))
    return (keys > key) | ((keys == key) & later_id)


def _token(value: int, last: TraceSummary) -> str:
    return f"{value}_{last.trace_id.hex()}"


def _exact(
    pieces: Iterator[Candidates], sources: Sequence[Source], read: ReadTrace, condition: Condition,
    query: TraceQuery, stats: ReadStats,
) -> Iterator[tuple[int, TraceSummary]]:  # fmt: skip
    """Summaries in order, each with the value it stands at; split traces are matched again as a whole."""
    for piece in pieces:
        for i, (high, low) in enumerate(_ids_of(piece)):
            trace_id, value = words_id(high, low), int(piece.value[i])
            if piece.source[i] >= 0:
                yield value, summary_of(sources[piece.source[i]].traces, int(piece.position[i]), trace_id)
                continue
            stats.traces_joined += 1
            trace = read(trace_id)
            if trace is not None and len(matching(trace.source, condition, stats)):
                yield value, trace.summary
