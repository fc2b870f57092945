"""Matching traces on their way to an answer: what they are ordered by, and which of them can still be among the first.

A trace with spans in several places (`source` -1) has the value that its parts together have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.ids import Words, distinct_ids
from obs.tracestore.query import Order, TraceQuery
from obs.tracestore.sources import Rows, Source
from obs.tracestore.summaries import TraceRows

Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_TOKEN = re.compile(r"(-?[0-9]{1,19})_([0-9a-f]{16})([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Candidates:
    """Traces, one entry each."""

    high: Words
    low: Words
    source: Times  # position among the sources; -1: the trace has to be put together
    position: Times  # among the source's traces
    value: Times  # what is ordered by

    def __len__(self) -> int:
        return len(self.high)

    def take(self, rows: Rows) -> Candidates:
        """These entries, in this order."""
        return Candidates(*(getattr(self, name)[rows] for name in self.__slots__))

    def ids(self) -> Iterator[tuple[int, int]]:
        """(high, low) of each."""
        return zip(self.high.tolist(), self.low.tolist(), strict=True)


def values_of(traces: TraceRows, order: Order) -> Times:
    """What each trace of a source is ordered by."""
    if order == "start":
        return traces.start
    if order == "duration":
        return traces.duration
    return traces.spans if order == "spans" else traces.errors.astype(np.int64)


def best_of(source: Source, place: int, hits: Rows, query: TraceQuery, page: Page) -> Candidates:
    """Of the matching traces that stand whole in one source those that may be answered with."""
    t = source.traces
    values = values_of(t, query.order)[hits]
    if page.token is not None:
        behind = page.behind(values, t.high[hits], t.low[hits])
        hits, values = hits[behind], values[behind]
    if len(hits) > query.limit:
        keys = values * page.sign
        near = keys <= np.partition(keys, query.limit)[query.limit]
        hits, values = hits[near], values[near]
    return Candidates(t.high[hits], t.low[hits], np.full(len(hits), place), hits, values)


def join_parts(high: Words, low: Words, sources: Sequence[Source], query: TraceQuery, page: Page) -> Candidates:
    """Split traces, by their ids (any number of times each), with the values of all their parts."""
    high, low = distinct_ids(high, low)
    start, end = np.full(len(high), 2**63 - 1), np.full(len(high), -(2**63))
    total = np.zeros(len(high), np.int64)
    for source in sources:
        t = source.traces
        at = t.find_many(high, low)
        found = np.flatnonzero(at >= 0)
        at = at[found]
        start[found] = np.minimum(start[found], t.start[at])
        end[found] = np.maximum(end[found], t.start[at] + t.duration[at])
        total[found] += t.spans[at] if query.order == "spans" else t.errors[at]
    value = {"start": start, "duration": np.maximum(end - start, 0)}.get(query.order, total)
    nowhere = np.full(len(high), -1)
    joined = Candidates(high, low, nowhere, nowhere, value)
    return joined if page.token is None else joined.take(np.flatnonzero(page.behind(value, high, low)))


def concatenated(parts: Sequence[Candidates]) -> Candidates:
    """All of them."""
    return Candidates(*(np.concatenate([getattr(p, n) for p in parts]) for n in Candidates.__slots__))


@dataclass(frozen=True, slots=True)
class Page:
    """Where an answer begins: after `token`, which ended the page before; `sign` is -1 for descending order."""

    sign: int
    token: tuple[int, int, int] | None  # value, high, low

    @classmethod
    def of(cls, query: TraceQuery) -> Page:
        """The page that a query asks for. Raises: UserError where its token is none of ours."""
        sign = -1 if query.descending else 1
        if query.after is None:
            return cls(sign, None)
        token = _TOKEN.fullmatch(query.after)
        if token is None:
            raise UserError(f"cannot continue after {query.after[:80]!r}: it is no token of this search; start anew")
        return cls(sign, (int(token[1]), int(token[2], 16), int(token[3], 16)))

    def behind(self, values: Times, high: Words, low: Words) -> Mask:
        """Which traces come after the token."""
        if self.token is None:
            return np.ones(len(values), bool)
        value, token_high, token_low = self.token
        later_id = (high > np.uint64(token_high)) | ((high == np.uint64(token_high)) & (low > np.uint64(token_low)))
        return (values * self.sign > value * self.sign) | ((values == value) & later_id)


def in_order(found: Candidates, query: TraceQuery, page: Page) -> Iterator[Candidates]:
    """Candidates by value, equal ones by trace id, in growing pieces: mostly the first is enough."""
    keys = found.value * page.sign
    left = np.arange(len(found))
    size = query.limit + limits.VERIFY_BATCH
    while len(left):
        piece, left = _least(found, keys, left, size)
        yield found.take(piece)
        size *= 4


def _least(found: Candidates, keys: Times, left: Rows, size: int) -> tuple[Rows, Rows]:
    """The first `size` (or more, where values are equal) of `left` in order, and the others."""
    rest = left[:0]
    if len(left) > size:
        near = keys[left] <= np.partition(keys[left], size - 1)[size - 1]
        left, rest = left[near], left[~near]
    return left[np.lexsort((found.low[left], found.high[left], keys[left]))], rest
