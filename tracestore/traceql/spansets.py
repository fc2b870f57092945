"""What runs through a pipeline: which spans are left, which of them belong together, and what was found of each set.

At first all spans of a trace are one spanset; `by()` parts it. A span is in one spanset at most, so that a mask and a
number a row say it all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tracestore.evaluate import SpanRows

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spansets:
    """`mask` of the spans that are left; spanset number `group[row]` of each of them, or that of its trace."""

    rows: SpanRows
    mask: Mask
    group: Rows | None = None  # int64[rows]; None: one spanset a trace
    groups: int = 0  # how many, where `group` is given
    notes: tuple[tuple[str, Callable[[int], Any]], ...] = field(default=())  # name, its value for a spanset

    @property
    def count(self) -> int:
        """How many spansets there may be; some have no spans left."""
        return len(self.rows.slices) if self.group is None else self.groups

    @property
    def owner(self) -> npt.NDArray[Any]:
        """int[rows]: the spanset of each row. Means nothing where the mask does not hold."""
        return self.rows.slices.owner if self.group is None else self.group

    @cached_property
    def hits(self) -> Rows:
        """The rows that are left, ascending."""
        return np.flatnonzero(self.mask)

    def narrowed(self, mask: Mask) -> Spansets:
        """With other spans, in the same spansets."""
        return replace(self, mask=mask)

    def kept(self, groups: Mask) -> Spansets:
        """Only these spansets."""
        mask = np.zeros(len(self.mask), bool)
        mask[self.hits[groups[self.owner[self.hits]]]] = True
        return replace(self, mask=mask)


def everything(rows: SpanRows) -> Spansets:
    """All spans of all traces that stand whole in the rows."""
    return Spansets(rows, rows.slices.inside)
