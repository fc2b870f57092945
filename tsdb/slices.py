"""A selection in slices of series, so that reading all of a store takes the memory of one slice.

Each slice is a selection of its own over the series whose turn it is; together they are sorted by labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from obs.columnar.view import View
from obs.errors import QueryLimit
from obs.model.labels import Matcher
from obs.model.ports import SeriesSet
from obs.tsdb.index import SeriesIndex
from obs.tsdb.selection import Reader, select

FIRST_SERIES = 64
"""Series of the first slice: a year of samples each at every quarter minute is what may be read at one time."""

MOST_SERIES = 65_536
"""Series of a slice at most, and `GROWTH` times those of the last one: the next may have far more samples each."""

GROWTH = 8

HISTOGRAM_SAMPLES = 16
"""Samples that a native histogram weighs as much as: it is an object, of about a kilobyte."""


class Narrowed:
    """A series index that knows of some series only; everything else is asked of the whole one."""

    def __init__(self, index: SeriesIndex, ordinals: npt.NDArray[np.int64]) -> None:
        self._index = index
        self._ordinals = ordinals

    def matching(self, matchers: Sequence[Matcher]) -> npt.NDArray[np.bool_]:
        """bool[ordinal]: those of the slice, which were found to match when the slices were cut."""
        mask = np.zeros(len(self._index), np.bool_)
        mask[self._ordinals] = True
        return mask

    def __len__(self) -> int:
        return len(self._index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)


def slices(
    reader: Reader,
    view: Callable[[], View],
    chosen: npt.NDArray[np.int64],
    start_ms: int,
    end_ms: int,
    samples: int,
) -> Iterator[SeriesSet]:
    """The samples of the chosen ordinals, about `samples` at a time. Raises: QueryLimit for a single series only."""
    labels = reader.index.labels(chosen)
    ordered = chosen[sorted(range(len(labels)), key=labels.__getitem__)]
    at, size = 0, FIRST_SERIES
    while at < len(ordered):
        narrowed = cast(SeriesIndex, Narrowed(reader.index, ordered[at : at + size]))
        try:
            with view() as now:
                found = select(replace(reader, index=narrowed), now, (), start_ms, end_ms)
        except QueryLimit:
            if size == 1:
                raise
            size = max(size // GROWTH, 1)
            continue
        at += size
        weight = 1 if found.hists is None else HISTOGRAM_SAMPLES
        per_series = max(len(found.values) * weight / size, 1)
        size = max(1, min(int(samples / per_series), size * GROWTH, MOST_SERIES))
        if len(found.labels):
            yield found
