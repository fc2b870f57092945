"""`|>`, `!>` and `ip()`: keep rows by a pattern of their line, or by the addresses in it; `| decolorize`."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.logstore import ip
from obs.logstore.chunks import Rows
from obs.logstore.indexing import BODY
from obs.logstore.logql.stage_syntax import Decolorize, IpLineFilter, PatternFilter
from obs.logstore.matching import literal
from obs.logstore.selection import Requirement
from obs.logstore.tokens import substring_needle

ANYTHING = re.compile(r"<_>")
COLOURS = r"\x1b\[[0-9;]*[A-Za-z]"


class PatternFilterStage:
    """Some pattern fits the whole line, or none does."""

    makes_labels = False

    def __init__(self, syntax: PatternFilter) -> None:
        self._syntax = syntax
        self._literals = [ANYTHING.split(pattern) for pattern in syntax.patterns]
        self._regexes = [f"^(?s:{'.*'.join(map(literal, parts))})$" for parts in self._literals]

    def apply(self, rows: Rows) -> Rows:
        """Keep by RE2."""
        mask = np.zeros(len(rows), np.bool_)
        for regex in self._regexes:
            mask |= pc.match_substring_regex(rows.line(), regex).to_numpy(zero_copy_only=False)
        return rows.keep(~mask if self._syntax.negated else mask)

    def requirements(self) -> tuple[Requirement, ...]:
        """The literals of a single pattern."""
        if self._syntax.negated or len(self._literals) != 1:
            return ()
        needles = [substring_needle(text) for text in self._literals[0]]
        return tuple(Requirement((BODY,), needle) for needle in needles if needle)


class IpLineStage:
    """Some address of the line is in the range, or none is."""

    makes_labels = False

    def __init__(self, syntax: IpLineFilter) -> None:
        self._negated = syntax.negated
        self._test = ip.in_range(syntax.addresses)

    def apply(self, rows: Rows) -> Rows:
        """Look at each distinct line once."""
        mask = ip.line_mask(rows.line(), self._test)
        return rows.keep(~mask if self._negated else mask)

    def requirements(self) -> tuple[Requirement, ...]:
        """Nothing is known of the text."""
        return ()


class DecolorizeStage:
    """The line without escape sequences of colour."""

    makes_labels = True  # a line filter behind it tests another line than the body

    def __init__(self, syntax: Decolorize) -> None:
        self._syntax = syntax

    def apply(self, rows: Rows) -> Rows:
        """All lines at once."""
        lines: pa.Array = pc.replace_substring_regex(rows.line(), COLOURS, "")
        return rows.with_line(lines)

    def requirements(self) -> tuple[Requirement, ...]:
        """It keeps every row."""
        return ()
