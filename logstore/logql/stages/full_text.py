"""Words and phrases, whole and in either case, looked for in the body, every attribute and the trace id."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.overflow import map_entries
from obs.logstore.chunks import Rows, hex_text
from obs.logstore.indexing import FIELDS, searchable
from obs.logstore.logql.syntax import FullText
from obs.logstore.matching import contains, label_mask, literal
from obs.logstore.selection import Requirement
from obs.logstore.tokens import phrase_needle
from obs.model.schema import OVERFLOW


class FullTextStage:
    """Every phrase must be somewhere in the record."""

    makes_labels = False

    def __init__(self, syntax: FullText) -> None:
        self._phrases = syntax.phrases

    def apply(self, rows: Rows) -> Rows:
        """One phrase after the other, on the rows that are left."""
        for phrase in self._phrases:
            if not len(rows):
                break
            rows = rows.keep(_holds(rows, phrase))
        return rows

    def requirements(self) -> tuple[Requirement, ...]:
        """Every token of every phrase, in any of the fields."""
        needles = (phrase_needle(phrase) for phrase in self._phrases)
        return tuple(Requirement(FIELDS, needle) for needle in needles if needle)


def phrase_regex(phrase: str) -> str:
    """A phrase between borders of words, in either case; RE2's `\\b` knows ASCII only, so borders are spelt out."""
    lead = r"(?:^|[^\p{L}\p{N}_])" if re.match(r"\w", phrase) else ""
    trail = r"(?:$|[^\p{L}\p{N}_])" if re.search(r"\w$", phrase) else ""
    return f"(?is){lead}{literal(phrase)}{trail}"


def _holds(rows: Rows, phrase: str) -> npt.NDArray[np.bool_]:
    pattern = phrase_regex(phrase)
    lowered = phrase.lower()
    lower = pc.ascii_lower if phrase.isascii() else pc.utf8_lower

    def test(values: pa.Array) -> npt.NDArray[np.bool_]:
        """The text in lower case first, which is cheap; its borders only where it was found."""
        found = contains(lower(values), lowered)
        at = np.flatnonzero(found)
        if len(at):
            found = found.copy()
            found[at] = pc.match_substring_regex(values.take(pa.array(at)), pattern).to_numpy(zero_copy_only=False)
        return found

    mask = test(rows.line())
    for name in searchable(sorted(rows.chunk.columns)):
        if mask.all():
            return mask
        mask = mask | label_mask(rows.column(name), len(rows), test)
    return mask | _in_overflow(rows, test) | _in_trace_id(rows, phrase)


def _in_overflow(rows: Rows, test: Callable[[pa.Array], npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(rows), np.bool_)
    column = rows.column(OVERFLOW)
    if column is not None:
        _, values, owners = map_entries(column)
        mask[owners[test(values)]] = True
    return mask


def _in_trace_id(rows: Rows, phrase: str) -> npt.NDArray[np.bool_]:
    column = rows.column("trace_id")
    if column is None or re.fullmatch(r"[0-9a-fA-F]{32}", phrase) is None:
        return np.zeros(len(rows), np.bool_)
    hit = pc.equal(hex_text(column), phrase.lower()).fill_null(False)
    mask: npt.NDArray[np.bool_] = hit.to_numpy(zero_copy_only=False)
    return mask
