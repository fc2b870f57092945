"""Spans that wait for their trace's decision: batches as they came, with the keys of traces and the segment on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from obs.collector.processors.derived.columns import Words
from obs.collector.processors.derived.state import Ints
from obs.collector.processors.sampling.due import Due, Mask


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch: `keys[row]` names the trace. `generation`: of its segment. `nbytes`: kept, since it costs to ask."""

    spans: pa.RecordBatch
    keys: Words
    came_s: float
    generation: int
    nbytes: int


def entry(spans: pa.RecordBatch, keys: Words, came_s: float, generation: int) -> Entry:
    """An entry with its size."""
    return Entry(spans, keys, came_s, generation, int(spans.nbytes))


@dataclass(frozen=True, slots=True)
class Taken:
    """Due traces, and the generation of each of their batches."""

    due: Due
    generations: Sequence[int]


class Pending:
    """All that waits. One lock's owner at a time."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.nbytes = 0

    @property
    def rows(self) -> int:
        """How many spans there are."""
        return sum(one.spans.num_rows for one in self._entries)

    @property
    def oldest(self) -> int | None:
        """The least generation that is needed."""
        return min((one.generation for one in self._entries), default=None)

    def add(self, one: Entry) -> None:
        """Let a batch wait."""
        self._entries.append(one)
        self.nbytes += one.nbytes

    def put_back(self, taken: Taken) -> None:
        """Let what was taken wait again, and be due at once."""
        at = 0
        for spans, generation in zip(taken.due.batches, taken.generations, strict=True):
            group = taken.due.group[at : at + spans.num_rows]
            at += spans.num_rows
            self.add(entry(spans, taken.due.keys[group], -np.inf, generation))

    def take(self, came_before_s: float, most_bytes: int, decided: Words) -> tuple[Taken | None, int]:
        """Traces that began to come before then, those of `decided` (sorted), and the oldest past `most_bytes`.

        Returns them, and how many of them are taken for the last reason alone.
        """
        if not self._entries:
            return None, 0
        keys = np.concatenate([one.keys for one in self._entries])
        came = np.repeat([one.came_s for one in self._entries], [len(one.keys) for one in self._entries])
        traces, trace_of_row = np.unique(keys, return_inverse=True)
        first_s = np.full(len(traces), np.inf)
        np.minimum.at(first_s, trace_of_row, came)
        due = (first_s <= came_before_s) | np.isin(traces, decided, assume_unique=False)
        early = self._early(first_s, np.bincount(trace_of_row), due, most_bytes)
        due |= early
        if not due.any():
            return None, 0
        number = np.cumsum(due) - 1  # of each due trace, among them
        return self._split(due[trace_of_row], number[trace_of_row], traces[due]), int(early.sum())

    def _early(self, first_s: np.ndarray, spans: Ints, due: Mask, most_bytes: int) -> Mask:
        """The traces that came first, as many as must go for the rest to fit."""
        found = np.zeros(len(due), np.bool_)
        if self.nbytes <= most_bytes:
            return found
        each = self.nbytes / max(int(spans.sum()), 1)
        waiting = np.flatnonzero(~due)
        order = waiting[np.argsort(first_s[waiting], kind="stable")]
        excess = spans[waiting].sum() * each - most_bytes
        if excess > 0:
            found[order[: int(np.searchsorted(np.cumsum(spans[order]) * each, excess)) + 1]] = True
        return found

    def _split(self, due: Mask, group: Ints, keys: Words) -> Taken:
        """Take out the rows that are due; the others wait on."""
        left: list[Entry] = []
        batches, groups, generations, at = [], [], [], 0
        for one in self._entries:
            own = due[at : at + len(one.keys)]
            if own.all():
                batches.append(one.spans)
            elif own.any():
                batches.append(one.spans.filter(pa.array(own)))
                spans = one.spans.filter(pa.array(~own))
                left.append(entry(spans, one.keys[~own], one.came_s, one.generation))
            else:
                left.append(one)
            if own.any():
                groups.append(group[at : at + len(one.keys)][own])
                generations.append(one.generation)
            at += len(one.keys)
        self._entries = left
        self.nbytes = sum(one.nbytes for one in left)
        return Taken(Due(batches, keys, np.concatenate(groups)), generations)
