"""Labels that a parser makes of lines, as columns: each distinct line is parsed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

import pyarrow as pa
import pyarrow.compute as pc

from obs.logstore import limits
from obs.logstore.chunks import Rows
from obs.logstore.logql.stages.errors import SPECIAL
from obs.logstore.names import FIXED_LABELS
from obs.logstore.overflow import overflow_names
from obs.model.schema import OVERFLOW

EXTRACTED = "_extracted"


def parsed_rows(rows: Rows, parse: Callable[[str], Mapping[str, str]]) -> Rows:
    """The rows with what `parse` finds in each line."""
    distinct = rows.line().dictionary_encode()
    parsed = [parse(line) for line in distinct.dictionary.to_pylist()]
    most = max(limits.PARSED_KEYS, limits.PARSED_CELLS // max(len(rows), 1))
    names = list(dict.fromkeys(name for labels in parsed for name in labels))[:most]
    codes = distinct.indices
    return with_found(rows, {n: pa.array([p.get(n) for p in parsed], pa.string()).take(codes) for n in names})


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
