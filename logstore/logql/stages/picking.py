"""`| drop` and `| keep`: hide labels from later stages and from the answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.logstore.chunks import Rows, Shown
from obs.logstore.logql.stage_syntax import Pick
from obs.logstore.logql.stages.errors import SPECIAL
from obs.logstore.matching import label_mask, values_match
from obs.logstore.selection import Requirement
from obs.model.labels import Matcher


class PickStage:
    """By name, or of the rows whose label matches."""

    makes_labels = True

    def __init__(self, syntax: Pick) -> None:
        self._syntax = syntax

    def apply(self, rows: Rows) -> Rows:
        """The same rows with fewer labels."""
        names, matchers = frozenset(self._syntax.names), self._syntax.matchers
        hidden = {m.name: self._hidden(rows, m) for m in matchers if m.name not in names}
        shown = rows.shown
        if self._syntax.drops:
            shown = Shown(shown.dropped | names, shown.kept)
        else:
            wanted = names | {m.name for m in matchers} | SPECIAL
            shown = Shown(shown.dropped, wanted if shown.kept is None else shown.kept & wanted)
        return rows.showing(shown).with_labels({name: array for name, array in hidden.items() if array is not None})

    def requirements(self) -> tuple[Requirement, ...]:
        """It keeps every row."""
        return ()

    def _hidden(self, rows: Rows, matcher: Matcher) -> pa.Array | None:
        """The label with nulls where it goes."""
        array = rows.label(matcher.name)
        if array is None:
            return None
        matches: Callable[[pa.Array], npt.NDArray[np.bool_]] = lambda values: values_match(values, matcher)  # noqa: E731
        hit = label_mask(array, len(rows), matches)
        text = array.cast(pa.string())
        return pc.if_else(pa.array(hit if self._syntax.drops else ~hit), pa.scalar(None, pa.string()), text)
