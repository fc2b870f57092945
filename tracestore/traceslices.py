"""Where each trace stands among some rows of a source, and the parents of those rows.

Rows come in whole groups, so that the first and the last trace of a run of groups may be cut: those are not `whole`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from obs.tracestore.names import NESTED_LEFT, NESTED_RIGHT, PARENT_POSITION

if TYPE_CHECKING:
    from obs.tracestore.evaluate import SpanRows

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class TraceSlices:
    """The traces of some rows: trace i owns starts[i]:starts[i + 1] of the rows."""

    def __init__(self, rows: SpanRows) -> None:
        self._rows = rows
        self.starts, self.ids, self.whole = _slices(rows)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def owner(self) -> npt.NDArray[np.int32]:
        """int32[rows]: which of the traces here each row belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

    @cached_property
    def inside(self) -> Mask:
        """bool[rows]: rows of traces that stand whole here."""
        return np.repeat(self.whole, np.diff(self.starts))

    def parents(self, rows: Rows | None = None) -> Rows:
        """The row here of the parent of each of these rows (of all, where None); -1 where it has none."""
        position = self._rows.numbers(PARENT_POSITION)
        position = position if rows is None else position[rows]
        owner = self.owner if rows is None else self.owner[rows]
        found: Rows = np.where((position >= 0) & self.whole[owner], self.starts[:-1][owner] + position, -1)
        return found

    @cached_property
    def bounds(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Nested-set bounds of all rows, within their traces."""
        return self._rows.numbers(NESTED_LEFT), self._rows.numbers(NESTED_RIGHT)


def _slices(rows: SpanRows) -> tuple[Rows, Rows, Mask]:
    """(starts, position in the source, whole) of the traces, run by run of adjacent groups."""
    source, groups = rows.source, rows.groups
    if not len(groups):
        return np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)
    breaks = np.flatnonzero(np.diff(groups) != 1) + 1
    starts, ids, whole, before = [], [], [], 0
    for run in np.split(groups, breaks):
        first, end = int(source.group_starts[run[0]]), int(source.group_starts[run[-1] + 1])
        a = int(np.searchsorted(source.traces.starts, first, side="right")) - 1
        b = int(np.searchsorted(source.traces.starts, end, side="left"))
        edges = source.traces.starts[a : b + 1]
        whole.append((edges[:-1] >= first) & (edges[1:] <= end))
        starts.append(np.maximum(edges[:-1], first) - first + before)
        ids.append(np.arange(a, b))
        before += end - first
    return np.append(np.concatenate(starts), before), np.concatenate(ids), np.concatenate(whole)
