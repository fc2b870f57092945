"""Labels of many series, made when someone looks at them; who groups or counts series asks for columns instead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from obs.model.labels import METRIC_NAME, Labels
from obs.tsdb.index import SeriesIndex, gather
from obs.tsdb.limits import KEPT_LABELS

I64 = npt.NDArray[np.int64]

FEW = 100
"""Series whose labels are sorted sooner one by one than by columns."""


MOST_EMPTY = 8
"""Cells of the columns for each label that stands in one: a series of 256 labels would give others as many cells."""


class LabelRows(Sequence[Labels]):
    """The labels of series of an index, in the order of `ordinals`."""

    def __init__(self, index: SeriesIndex, ordinals: I64) -> None:
        self._index = index
        self.ordinals = ordinals
        self.groupings: dict[Hashable, Any] = {}  # what `signature` worked out of them

    @cached_property
    def _made(self) -> list[Labels]:
        return self._index.labels(self.ordinals)

    @cached_property
    def _pairs(self) -> tuple[I64, I64]:
        """Pair numbers of all series, one after the other, and whose each is."""
        flat, counts = gather(self._index.flat, self._index.offsets, self.ordinals)
        return flat.astype(np.int64), np.repeat(np.arange(len(counts)), counts)

    def __len__(self) -> int:
        return len(self.ordinals)

    @overload
    def __getitem__(self, at: int) -> Labels: ...

    @overload
    def __getitem__(self, at: slice) -> LabelRows: ...

    def __getitem__(self, at: int | slice) -> Labels | LabelRows:
        return LabelRows(self._index, self.ordinals[at]) if isinstance(at, slice) else self._made[at]

    def __iter__(self) -> Iterator[Labels]:
        return iter(self._made)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, at: I64) -> LabelRows:
        """Those at some positions."""
        return LabelRows(self._index, self.ordinals[at])

    def order(self) -> I64:
        """Positions in the order of labels."""
        if len(self.ordinals) < FEW:
            return self._order_one_by_one()
        flat, rows = self._pairs
        counts = np.bincount(rows, minlength=len(self.ordinals))
        widest = max(int(counts.max(initial=0)), 1)
        if widest * len(counts) > MOST_EMPTY * len(flat):
            return self._order_one_by_one()
        distinct, inverse = np.unique(flat, return_inverse=True)
        texts = list(map(self._index.pair_texts.__getitem__, distinct.tolist()))
        ranks = np.empty(len(texts), np.int32)
        ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts), dtype=np.int32)
        places = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns = np.full((widest, len(counts)), -1, np.int32)  # fewer labels come first
        columns[places, rows] = ranks[inverse]
        return np.lexsort(columns[::-1])

    def _order_one_by_one(self) -> I64:
        count = len(self.ordinals)
        return np.array(sorted(range(count), key=self._made.__getitem__) if count > 1 else range(count), np.int64)

    def least(self, most: int) -> LabelRows:
        """The first `most` of them in the order of labels; only of these and their like are all labels looked at."""
        if len(self.ordinals) <= most:
            return self.take(self.order())
        starts, ends = self._index.offsets[self.ordinals], self._index.offsets[self.ordinals + 1]
        some = starts < ends
        first = self._index.flat[starts[some]]
        present = np.flatnonzero(np.bincount(first))
        texts = list(map(self._index.pair_texts.__getitem__, present.tolist()))
        table = np.zeros(int(present[-1]) + 1 if len(present) else 0, np.int32)
        table[present[sorted(range(len(texts)), key=texts.__getitem__)]] = np.arange(len(texts), dtype=np.int32)
        ranks = np.full(len(self.ordinals), -1, np.int32)  # without labels they come first
        ranks[some] = table[first]
        candidates = self.take(np.flatnonzero(ranks <= np.partition(ranks, most - 1)[most - 1]))
        return candidates.take(candidates.order()[:most])

    @staticmethod
    def joined(parts: Sequence[LabelRows]) -> LabelRows:
        """Series of one index below each other."""
        return LabelRows(parts[0]._index, np.concatenate([part.ordinals for part in parts]))

    def names(self) -> set[str]:
        """Every label name that any of the series has."""
        pairs = self._index.pair_names
        return {pairs.texts[n] for n in np.unique(pairs.of(np.unique(self._pairs[0]))).tolist()}

    def column(self, name: str) -> I64:
        """A number for each series' value of a label, -1 where it has none; equal numbers are equal values."""
        out = np.full(len(self.ordinals), -1)
        number = self._index.pair_names.number(name)
        if number is not None:
            flat, rows = self._pairs
            mine = self._index.pair_names.of(flat) == number
            out[rows[mine]] = flat[mine]
        return out

    def metrics(self) -> frozenset[str]:
        """The metric names, "" where a series has none."""
        return self._metrics

    @cached_property
    def _metrics(self) -> frozenset[str]:
        texts = self._index.pair_texts
        return frozenset(texts[n][1] if n >= 0 else "" for n in np.unique(self.column(METRIC_NAME)).tolist())


class KnownRows:
    """The labels of series selected lately, with what was worked out of them. Any thread.

    They are found by the ordinals themselves, whose labels never change, so that nothing needs to be invalidated.
    """

    def __init__(self, index: SeriesIndex) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[LabelRows, int]] = OrderedDict()
        self._labels = 0

    def of(self, ordinals: I64) -> LabelRows:
        """The labels of series, in their order."""
        if len(ordinals) > KEPT_LABELS:
            return LabelRows(self._index, ordinals)
        key = ordinals.tobytes()
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found[0]
        rows, offsets = LabelRows(self._index, ordinals), self._index.offsets
        size = len(ordinals) + int((offsets[ordinals + 1] - offsets[ordinals]).sum())
        with self._lock:
            if key not in self._kept and size <= KEPT_LABELS:
                self._kept[key] = rows, size
                self._labels += size
                while self._labels > KEPT_LABELS:
                    self._labels -= self._kept.popitem(last=False)[1][1]
        return rows
