"""`|=`, `!=`, `|~`, `!~`: keep rows by the text of their line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.logstore import ip
from obs.logstore.chunks import Rows
from obs.logstore.indexing import BODY
from obs.logstore.literals import required_literals
from obs.logstore.logql.syntax import LineFilter
from obs.logstore.matching import contains, found_by_re2, literal_of, matches
from obs.logstore.selection import Requirement
from obs.logstore.tokens import substring_needle


class LineFilterStage:
    """Of several values any may match; negated, none may."""

    makes_labels = False

    def __init__(self, syntax: LineFilter) -> None:
        self._syntax = syntax
        self._inside = [ip.in_range(text) for text in syntax.addresses]

    def apply(self, rows: Rows) -> Rows:
        """Keep by text; an empty value is in every line."""
        searched = self._searched(rows)
        if searched is not None:
            return searched
        line = rows.line()
        mask = np.zeros(len(rows), np.bool_)
        for value in self._syntax.values:
            mask |= self._test(line, value)
        for test in self._inside:
            mask |= ip.line_mask(line, test)
        return rows.keep(~mask if self._syntax.op.negated else mask)

    def _searched(self, rows: Rows) -> Rows | None:
        """The same without reading lines that lack a text; None where none is known or lines are at hand."""
        if self._syntax.op.negated or len(self._syntax.values) != 1 or self._inside:
            return None
        value, is_regex = self._syntax.values[0], self._syntax.op.is_regex
        kept = rows.remembered((is_regex, value))
        if kept is not None:
            return kept
        held = rows.holding(literal_of(value) if is_regex else value)
        if held is None:
            return None
        kept = held.keep(found_by_re2(held.line(), value)) if is_regex and len(held) else held
        rows.remember((is_regex, value), kept)
        return kept

    def requirements(self) -> tuple[Requirement, ...]:
        """The texts that a kept line contains; nothing is known of alternatives or of absence."""
        if self._syntax.op.negated or len(self._syntax.values) != 1 or self._syntax.addresses:
            return ()
        value = self._syntax.values[0]
        texts = required_literals(value) if self._syntax.op.is_regex else [value]
        needles = [substring_needle(text) for text in texts]
        return tuple(Requirement((BODY,), needle) for needle in needles if needle)

    def _test(self, line: pa.Array, value: str) -> npt.NDArray[np.bool_]:
        if not self._syntax.op.is_regex:
            return contains(line, value)
        return matches(line, value)
