"""Search over head and blocks: every source gives its matching traces, the best of all are answered, in order.

A trace with spans in several places counts by its extremes until it is its turn; then it is put together and matched
again, so what is answered is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from obs.tracestore import limits
from obs.tracestore.candidates import Candidates, Page, Times, best_of, concatenated, in_order, join_parts
from obs.tracestore.expressions import fields_of, names_trace
from obs.tracestore.ids import Words, words_id
from obs.tracestore.matching import ByTraces, Condition, Mask, by_traces, matching, of_piece, pieces
from obs.tracestore.query import Found, ReadStats, TraceQuery, TraceSummary
from obs.tracestore.reading import summary_of
from obs.tracestore.remembered import Memory
from obs.tracestore.sources import MemorySource, Rows, Source
from obs.tracestore.splitrows import put_together
from obs.tracestore.splits import shared


def search(sources: Sequence[Source], split_keys: Words, query: TraceQuery) -> Found:
    """The traces a query asks for. `split_keys` as `SplitTraces.keys`."""
    stats, page = ReadStats(), Page.of(query)
    condition = Condition(query.expression(), query.start_ns, query.end_ns)
    found = _candidates(sources, split_keys, condition, query, page, stats)
    traces: list[TraceSummary] = []
    token: str | None = None
    for value, summary in _exact(in_order(found, query, page), sources, condition, stats):
        if len(traces) == query.limit:
            return Found(traces, stats, token)
        traces.append(summary)
        token = f"{value}_{summary.trace_id.hex()}"
    return Found(traces, stats)


def _candidates(
    sources: Sequence[Source], split_keys: Words, condition: Condition, query: TraceQuery, page: Page, stats: ReadStats
) -> Candidates:
    """The best of the traces that stand whole in one place, and all split ones."""
    parts: list[Candidates] = []
    split_high, split_low = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    enough = Enough.of(query, page, split_keys)
    for place, (source, hits) in enumerate(zip(sources, match_sources(sources, condition, stats, enough), strict=True)):
        if len(split_keys):
            split = shared(source.traces, split_keys)
            joined = np.flatnonzero(split) if names_trace(condition.expr) else hits[split[hits]]
            hits = hits[~split[hits]]
            split_high.append(source.traces.high[joined])
            split_low.append(source.traces.low[joined])
        parts.append(best_of(source, place, hits, query, page))
        stats.traces_matched += len(hits)
    parts.append(join_parts(np.concatenate(split_high), np.concatenate(split_low), sources, query, page))
    stats.traces_matched += len(parts[-1])
    return concatenated(parts)


@dataclass(frozen=True, slots=True)
class Enough:
    """When the newest traces are found without reading every place: `wanted` that start before `before` (ns)."""

    wanted: int
    before: int
    split_keys: Words

    @classmethod
    def of(cls, query: TraceQuery, page: Page, split_keys: Words) -> Enough | None:
        """None where the order is another one: then every place has to be read."""
        if query.order != "start" or not query.descending:
            return None
        return cls(query.limit + 1, page.token[0] if page.token else query.end_ns, split_keys)

    def starts(self, source: Source, hits: Rows) -> Times:
        """When those of the hits start that count: they stand whole here, and on no page before."""
        start = source.traces.start[hits]
        counts = start < self.before
        if len(self.split_keys):
            counts &= ~shared(source.traces, self.split_keys)[hits]
        return start[counts]


def match_sources(
    sources: Sequence[Source], condition: Condition, stats: ReadStats, enough: Enough | None = None
) -> list[Rows]:
    """For each source the positions of its matching traces, ascending; older places are not read past `enough`."""
    tables = [by_traces(source, condition) for source in sources]
    memories = _recalled(sources, tables, condition)
    unsure = [i for i, found in enumerate(tables) if found.unsure.any()]
    each: list[tuple[int, ReadStats]] = []

    def read(item: tuple[int, Mask, ReadStats]) -> Rows:
        i, piece, own = item
        return of_piece(sources[i], condition, piece, own)

    newest = {i: int(sources[i].traces.start[tables[i].unsure].max()) for i in unsure}
    with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
        for wave in _waves(sorted(unsure, key=newest.__getitem__, reverse=True), enough):
            if enough is not None and _reached(sources, tables, enough, newest[wave[0]]):
                break
            items = [(i, piece, ReadStats()) for i, piece in _shares(sources, tables, wave)]
            each += [(i, own) for i, _, own in items]
            found: dict[int, list[Rows]] = {i: [] for i in wave}
            for (i, _, _), positions in zip(items, pool.map(read, items), strict=True):
                tables[i].sure[positions] = True
                found[i].append(positions)
            for i, parts in found.items():
                if (memory := memories.get(i)) is not None:
                    memory.put(np.concatenate(parts))
    _count(sources, each, stats)
    return [np.flatnonzero(found.sure) for found in tables]


def _recalled(sources: Sequence[Source], tables: Sequence[ByTraces], condition: Condition) -> dict[int, Memory]:
    """Fill in what is remembered of blocks; returns where to remember of the others what is found."""
    unknown = {}
    for i, (source, table) in enumerate(zip(sources, tables, strict=True)):
        memory = Memory.of(source, condition) if table.unsure.any() else None
        known = None if memory is None else memory.get()
        if known is not None:
            table.sure[known] = True
            table.unsure[:] = False
        elif memory is not None:
            unknown[i] = memory
    return unknown


def _waves(unsure: list[int], enough: Enough | None) -> Iterator[list[int]]:
    size = max(len(unsure), 1) if enough is None else limits.SCAN_THREADS
    return (unsure[i : i + size] for i in range(0, len(unsure), size))


def _shares(sources: Sequence[Source], tables: Sequence[ByTraces], wave: Sequence[int]) -> Iterator[tuple[int, Mask]]:
    """The places of a wave in pieces that keep all threads busy, also where it is only one place."""
    rows = sum(int(sources[i].traces.starts[-1]) for i in wave)
    share = max(limits.ROWS_A_THREAD, -(-rows // limits.SCAN_THREADS))
    for i in wave:
        for piece in pieces(sources[i], tables[i].unsure, min(share, limits.ROWS_AT_ONE_TIME)):
            yield i, piece


def _reached(sources: Sequence[Source], tables: Sequence[ByTraces], enough: Enough, newest_left: int) -> bool:
    """Whether as many as wanted are known that start after all that may still be found."""
    found = 0
    for source, table in zip(sources, tables, strict=True):
        found += int((enough.starts(source, np.flatnonzero(table.sure)) > newest_left).sum())
    return found >= enough.wanted


def _count(sources: Sequence[Source], each: Sequence[tuple[int, ReadStats]], stats: ReadStats) -> None:
    were_read = {i for i, _ in each}
    for i, source in enumerate(sources):
        if isinstance(source, MemorySource):
            stats.rows_head += len(source.order)
        elif i in were_read:
            stats.blocks_read += 1
        else:
            stats.blocks_skipped += 1
    for _, read in each:
        stats.rows_read += read.rows_read
        stats.row_groups_read += read.row_groups_read


def _exact(
    pieces: Iterator[Candidates], sources: Sequence[Source], condition: Condition, stats: ReadStats
) -> Iterator[tuple[int, TraceSummary]]:
    """Summaries in order, each with the value it stands at; split traces are matched again as a whole."""
    for piece in pieces:
        joined = _joined(piece, sources, condition, stats)
        for i, (high, low) in enumerate(piece.ids()):
            place, position, value = int(piece.source[i]), int(piece.position[i]), int(piece.value[i])
            if place >= 0:
                yield value, summary_of(sources[place].traces, position, words_id(high, low))
            elif (high, low) in joined:
                yield value, joined[high, low]


def _joined(
    piece: Candidates, sources: Sequence[Source], condition: Condition, stats: ReadStats
) -> dict[tuple[int, int], TraceSummary]:
    """The split traces of a piece that match, each place read once for all of them."""
    split = piece.take(np.flatnonzero(piece.source < 0))
    stats.traces_joined += len(split)
    if not len(split):
        return {}
    source = put_together(sources, split.high, split.low, tuple(fields_of(condition.expr)))
    found = {}
    for position in matching(source, condition, stats).tolist():
        high, low = int(source.traces.high[position]), int(source.traces.low[position])
        found[high, low] = summary_of(source.traces, position, words_id(high, low))
    return found
