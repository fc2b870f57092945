"""Which series have rows around a range of time, and their label names and values.

Times are as exact as blocks are: of a block that the range cuts the first and last time of each series count, of a
block whose series are not read yet those of each label value, and every series of a head that has any row in the range.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt

from obs.columnar.block import Block
from obs.columnar.view import View
from obs.model.labels import METRIC_NAME, Matcher
from obs.tsdb import labelfile
from obs.tsdb.blocks import BlockSeries
from obs.tsdb.filenames import EXEMPLARS, SAMPLES, SERIES
from obs.tsdb.headruns import OfTables
from obs.tsdb.limits import FIRST_MS, LAST_MS
from obs.tsdb.selection import Reader, matching, overlaps
from obs.tsdb.sources import covers

Mask = npt.NDArray[np.bool_]
Selectors = Sequence[Sequence[Matcher]]
"""Any of several lists of matchers; no list at all selects everything."""

OfBlock = Callable[[Block], Collection[str] | None]


class Presence:
    """Over one index, its blocks and heads. Any thread."""

    def __init__(self, reader: Reader, head_series: OfTables[npt.NDArray[np.int32]]) -> None:
        self._reader = reader
        self._head_series = head_series

    def label_names(self, view: View, selectors: Selectors, start_ms: int, end_ms: int) -> list[str]:
        """Names of labels of the selected series, sorted."""
        known, told = self._told(view, selectors, start_ms, end_ms, lambda b: labelfile.names(b, start_ms, end_ms))
        found = self._reader.index.label_names(self._chosen(view, known, selectors, start_ms, end_ms))
        return sorted(told.union(found)) if told else found

    def label_values(self, view: View, name: str, selectors: Selectors, start_ms: int, end_ms: int) -> list[str]:
        """Values of a label of the selected series, sorted."""
        known, told = self._told(
            view, selectors, start_ms, end_ms, lambda b: labelfile.values(b, name, start_ms, end_ms)
        )
        found = self._reader.index.label_values(name, self._chosen(view, known, selectors, start_ms, end_ms))
        return sorted(told.union(found)) if told else found

    def chosen(self, view: View, selectors: Selectors, start_ms: int, end_ms: int) -> Mask:
        """bool[ordinal]: selected, and with rows around start..end."""
        return self._chosen(view, view.blocks, selectors, start_ms, end_ms)

    def matching(self, selectors: Selectors) -> Mask:
        """bool[ordinal]: selected, whether there are rows or not."""
        index = self._reader.index
        if not selectors:
            return np.ones(len(index), np.bool_)
        masks = [matching(index, matchers) for matchers in selectors]
        size = min(map(len, masks))
        return np.logical_or.reduce([mask[:size] for mask in masks])

    def _told(
        self, view: View, selectors: Selectors, start_ms: int, end_ms: int, tell: OfBlock
    ) -> tuple[Sequence[Block], set[str]]:
        """Blocks whose series must be looked at, and what the label files of all others tell.

        A label file serves as long as a block's series are not in memory, which a listing then does not wait for.
        """
        left, told = [], set[str]()
        for block in view.blocks:
            found = None
            if not selectors and overlaps(block, start_ms, end_ms) and self._reader.catalog.known(block) is None:
                found = tell(block)
            if found is None:
                left.append(block)
            else:
                told.update(found)
        return left, told

    def _chosen(self, view: View, blocks: Sequence[Block], selectors: Selectors, start_ms: int, end_ms: int) -> Mask:
        blocks = [b for b in blocks if overlaps(b, start_ms, end_ms)]
        names = [m for m in selectors[0] if m.name == METRIC_NAME] if len(selectors) == 1 else []
        series_of = self._reader.catalog.of_metric(blocks, names)  # teaches the index
        mask = self.matching(selectors)
        held = np.zeros(len(mask), np.bool_)
        if _head_overlaps(view, start_ms, end_ms):
            for table in view.head_runs(SERIES):
                ordinals = self._head_series.of(table)
                held[ordinals[ordinals < len(held)]] = True
        for block, series in zip(reversed(blocks), reversed(series_of), strict=True):
            left = mask & ~held  # most blocks have most series
            if not left.any():
                break
            if not _has_any(series, left):
                continue
            if series.gone is None and covers(block, start_ms, end_ms):
                held[: len(series.held)] |= series.held[: len(held)]
            else:
                held[series.ordinals[series.chosen(left, start_ms, end_ms, names)]] = True
        return mask & held


def _has_any(series: BlockSeries, wanted: Mask) -> bool:
    """Whether a block may have rows of any of some series."""
    return bool((series.held[: len(wanted)] & wanted[: len(series.held)]).any())


def _head_overlaps(view: View, start_ms: int, end_ms: int) -> bool:
    if not view.head_rows(SERIES):
        return False
    if start_ms == FIRST_MS and end_ms == LAST_MS:
        return True
    return any(
        bool(((t_ms >= start_ms) & (t_ms <= end_ms)).any())
        for name in (SAMPLES, EXEMPLARS)
        for column in view.head_column(name, "t_ms").columns
        for chunk in column.chunks
        if len(t_ms := chunk.to_numpy())
    )
