"""Cumulative counters and histograms by key, in arrays: what is observed is added, what is idle is forgotten.

One lock's owner at a time. A key past the limit goes to the row of `OTHER`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.collector.processors.derived.families import NATIVE_FIRST, NATIVE_LAST, Families, native_buckets
from obs.model.labels import Labels, labels_id

OTHER = "{other}"
"""What a label says of all that came after its budget was used up."""

Key = tuple[str, ...]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NATIVE = NATIVE_LAST - NATIVE_FIRST + 2


@dataclass(frozen=True, slots=True)
class Exemplar:
    """The slowest span of a key since the last write."""

    value: float
    t_ms: int
    trace_id: bytes
    span_id: bytes


class State:
    """Rows by key. `values[row, counter]`, `sums[row, histogram]`, `buckets[h][row, bound]`, `natives[h][row, column]`.

    Buckets are not cumulated over bounds. `series[row]` are labels, `ids[row]` their ids.
    """

    def __init__(self, families: Families, max_keys: int) -> None:
        self.families, self._max = families, max_keys
        self._rows: dict[Key, int] = {}
        self.keys: list[Key] = []
        self.series: list[list[Labels]] = []
        self.exemplars: dict[tuple[int, int], Exemplar] = {}  # (row, histogram) →
        self.on_forget: Callable[[Sequence[Key]], None] = lambda left: None
        self._allocate(0)

    def _allocate(self, rows: int) -> None:
        f = self.families
        width = len(f.counters) + len(f.histograms) * f.native
        width += sum(len(h.bounds) + 3 for h in f.histograms) * f.classic
        self.values = np.zeros((rows, len(f.counters)))
        self.sums = np.zeros((rows, len(f.histograms)))
        self.buckets = [np.zeros((rows, len(h.bounds) + 1)) for h in f.histograms]
        self.natives = [np.zeros((rows, _NATIVE if f.native else 0)) for _ in f.histograms]
        self.ids = np.zeros((rows, width), np.uint64)
        self.touched_s = np.zeros(rows)
        self.fresh = np.ones(rows, np.bool_)

    def _arrays(self) -> list[npt.NDArray[Any]]:
        return [self.values, self.sums, *self.buckets, *self.natives, self.ids, self.touched_s, self.fresh]

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self.keys)

    def rows(self, keys: Iterable[Key]) -> Ints:
        """The row of each key; new ones are made as long as there is room."""
        return np.array([self._row(key) for key in keys], np.int64)

    def _row(self, key: Key) -> int:
        row = self._rows.get(key)
        if row is None:
            if len(self.keys) >= self._max and (key := (OTHER,) * len(key)) in self._rows:
                return self._rows[key]
            row = self._rows[key] = len(self.keys)
            self.keys.append(key)
            self.series.append(self.families.series(key))
            if row >= len(self.values):
                self._keep(np.arange(row), max(64, 2 * row))
            self.ids[row] = [labels_id(labels) for labels in self.series[row]]
        return row

    def _keep(self, rows: Ints, room: int) -> None:
        """Go on with these rows alone, and room for as many more."""
        before = self._arrays()
        self._allocate(room)
        for old, new in zip(before, self._arrays(), strict=True):
            new[: len(rows)] = old[rows]

    def count(self, rows: Ints, counter: int, amounts: Floats) -> None:
        """Add to a counter; rows may repeat."""
        np.add.at(self.values[:, counter], rows, amounts)

    def observe(self, rows: Ints, histogram: int, group: Ints, durations_s: Floats, weights: Floats) -> None:
        """Add durations: that of item i belongs to `rows[group[i]]`."""
        family, n = self.families.histograms[histogram], len(rows)
        values = durations_s * family.per_s
        bound = np.searchsorted(family.bounds, values, side="left")
        np.add.at(self.sums[:, histogram], rows, tally(group, weights * values, n))
        np.add.at(self.buckets[histogram], rows, _counted(group, bound, weights, n, len(family.bounds) + 1))
        if self.families.native:
            column = native_buckets(values)
            np.add.at(self.natives[histogram], rows, _counted(group, column, weights, n, _NATIVE))

    def touch(self, rows: Ints, now_s: float) -> None:
        """These were seen now."""
        self.touched_s[rows] = now_s

    def show(self, row: int, histogram: int, exemplar: Exemplar) -> None:
        """Keep an exemplar where it is slower than the one there."""
        known = self.exemplars.get((row, histogram))
        if known is None or exemplar.value >= known.value:
            self.exemplars[row, histogram] = exemplar

    def idle(self, before_s: float) -> Ints:
        """Rows that were not seen since."""
        return np.flatnonzero(self.touched_s[: len(self)] < before_s)

    def forget(self, rows: Ints) -> None:
        """Take rows out."""
        kept = np.setdiff1d(np.arange(len(self)), rows)
        self.keys = [self.keys[row] for row in kept]
        self.series = [self.series[row] for row in kept]
        self._rows = {key: row for row, key in enumerate(self.keys)}
        self.exemplars.clear()
        self._keep(kept, max(64, 2 * len(kept)))
        self.on_forget(self.keys)


def _counted(group: Ints, column: Ints, weights: Floats, groups: int, columns: int) -> Floats:
    """float64[groups, columns]: the weights that fall on each."""
    return tally(group * columns + column, weights, groups * columns).reshape(groups, columns)


def tally(group: Ints, amounts: Floats, groups: int) -> Floats:
    """float64[groups]: the sum of each."""
    return np.bincount(group, amounts, groups).astype(np.float64, copy=False)


def grouped(codes: Sequence[tuple[Ints, int]]) -> tuple[Ints, Ints]:
    """(first row of each group, group of each row), where rows are one group that agree in all codes.

    `codes`: for each column int64[rows] below its size.
    """
    combined, size = codes[0]
    for more, width in codes[1:]:
        if size * width >= 1 << 62:
            _, combined = np.unique(combined, return_inverse=True)
            size = int(combined.max(initial=0)) + 1
        combined, size = combined * width + more, size * width
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    return first, group
