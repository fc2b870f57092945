"""Before a parser of all labels: takes out rows that the filters behind it drop, by the labels they look at alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from obs.logstore.chunks import Rows
from obs.logstore.logql.stages.made_labels import Wanted, with_found
from obs.logstore.logql.stages.stage import Runnable
from obs.logstore.selection import Requirement


class SieveStage:
    """Keeps the rows that the filters keep, and those of which it is not known."""

    makes_labels = False

    def __init__(self, wanted: Wanted, filters: Sequence[Runnable]) -> None:
        self._wanted, self._filters = wanted, filters

    def apply(self, rows: Rows) -> Rows:
        """The rows as they were, fewer of them."""
        known = self._wanted.fields(rows)
        if known is None or not known.covered.any():
            return rows
        sure = np.flatnonzero(known.covered)
        at = pa.array(sure)
        left = with_found(rows.take(sure), {name: array.take(at) for name, array in known.columns.items()})
        for stage in self._filters:
            left = stage.apply(left)
        keeps = np.zeros(rows.chunk.rows, np.bool_)
        keeps[left.index] = True
        keeps[rows.index[~known.covered]] = True
        return rows.keep(keeps[rows.index])

    def requirements(self) -> tuple[Requirement, ...]:
        """Those of the filters."""
        return self._wanted.requires
