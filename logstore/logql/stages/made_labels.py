"""Labels that a parser makes of lines, as columns: each distinct line is parsed once.

Where only some labels are wanted, columns of the block or a kernel give them; only lines that these are not sure of
are parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.logstore import limits
from obs.logstore.chunks import Rows
from obs.logstore.linefields import LineFields, extract
from obs.logstore.logql.stages.errors import SPECIAL
from obs.logstore.names import FIXED_LABELS, IMPLIED
from obs.logstore.overflow import overflow_names
from obs.logstore.selection import Requirement
from obs.model.schema import OVERFLOW

EXTRACTED = "_extracted"


Parse = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Labels that later stages look at; `only`: that no other matters. `parser`: what finds them in lines, "" if none.

    A label that a record has already is made under another name, so both are wanted. `body`: the line is the body
    still. `requires`: what a row must hold for the later stages to keep it.
    """

    labels: frozenset[str]
    parser: str = ""
    only: bool = True
    body: bool = False
    requires: tuple[Requirement, ...] = ()

    def names(self) -> list[str]:
        """The labels as lines have them."""
        return sorted(self.labels | {name.removesuffix(EXTRACTED) for name in self.labels})

    def fields(self, rows: Rows) -> LineFields | None:
        """What columns hold or a kernel finds of them; None where there is neither."""
        if not self.parser:
            return None
        names = self.names()
        kept = rows.line_fields(self.parser, names) if self.body else None
        return extract(rows.line(), self.parser, names) if kept is None else kept


def parsed_rows(rows: Rows, parse: Parse, wanted: Wanted | None = None) -> Rows:
    """The rows with what `parse` finds in each line."""
    known = wanted.fields(rows) if wanted is not None and wanted.only else None
    if known is None:
        return with_found(rows, _parsed(rows.line(), parse, wanted, len(rows)))
    rest = np.flatnonzero(~known.covered)
    if not len(rest):
        return with_found(rows, known.columns)
    odd = _parsed(rows.lines_at(rest), parse, wanted, len(rows))
    place = np.full(len(rows), -1, np.int64)
    place[rest] = np.arange(len(rest))
    at = pa.array(place, mask=place < 0)
    found = {name: array.take(at) for name, array in odd.items()}
    for name, values in known.columns.items():
        found[name] = pc.coalesce(_plain(values), found[name]) if name in found else values
    return with_found(rows, found)


def _parsed(lines: pa.Array, parse: Parse, wanted: Wanted | None, rows: int) -> dict[str, pa.Array]:
    """A column a label of what `parse` finds in each line."""
    distinct = lines.dictionary_encode()
    parsed = [parse(line) for line in distinct.dictionary.to_pylist()]
    there = dict.fromkeys(name for labels in parsed for name in labels)
    if wanted is not None:
        few = {*wanted.names(), *SPECIAL}
        first = [name for name in there if name in few]
        there = dict.fromkeys(first if wanted.only else [*first, *there])
    names = list(there)[: max(limits.PARSED_KEYS, limits.PARSED_CELLS // max(rows, 1))]
    codes = distinct.indices
    return {n: pa.array([p.get(n) for p in parsed], pa.string()).take(codes) for n in names}


def with_found(rows: Rows, found: Mapping[str, pa.Array]) -> Rows:
    """The rows with columns by label of what a stage found, null where it found nothing: string[rows] each.

    A row that has such a label stored gets it with `_extracted`, as in Loki; what earlier stages made stays where
    this one finds nothing, and an earlier error stays.
    """
    made: dict[str, pa.Array] = {}
    beside: set[str] = set()
    known = _stored_names(rows)
    for name, values in found.items():
        stored = _stored(rows, name) if name in known else None
        if stored is None:
            _put(made, rows, name, values)
            beside |= {name} & IMPLIED if made[name].null_count else set()
            continue
        has, none = stored.is_valid(), pa.scalar(None, pa.string())
        if stored.null_count:
            _put(made, rows, name, pc.if_else(has, none, values))
            beside.add(name)
        _put(made, rows, name + EXTRACTED, pc.if_else(has, values, none))
    return rows.with_labels(made, frozenset(beside))


def _put(made: dict[str, pa.Array], rows: Rows, name: str, values: pa.Array) -> None:
    before = rows.derived.get(name)
    both = (values,) if before is None else (before, values) if name in SPECIAL else (values, before)
    made[name] = pc.coalesce(*map(_plain, both)) if len(both) > 1 else values


def _stored_names(rows: Rows) -> Set[str]:
    """The labels that some row may have stored."""
    overflow = rows.column(OVERFLOW)
    folded = set() if overflow is None else overflow_names(overflow)
    return rows.chunk.streams.names | rows.chunk.attributes.keys() | FIXED_LABELS.keys() | folded


def _stored(rows: Rows, name: str) -> pa.Array | None:
    """The label as stored, where some row has it and no stage made it anew."""
    stored = rows.stored(name) if name not in rows.derived or name in rows.beside else None
    return None if stored is None or stored.null_count == len(stored) else stored


def _plain(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array
