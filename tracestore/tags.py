"""Which attributes there are and which values they take: what search forms offer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import UserError
from obs.model.schema import parse_attribute_column
from obs.tracestore import limits
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import SCOPES, Attribute, Field, Intrinsic, OfEach
from obs.tracestore.fields import INTRINSICS, field_columns
from obs.tracestore.matching import Condition, by_traces, groups_of, matching_rows
from obs.tracestore.names import KINDS, STATUSES
from obs.tracestore.nested import FIXED, each
from obs.tracestore.sources import Rows, Source

ALIASES: dict[str, Field] = {
    "service.name": Attribute("resource", "service.name"), "rootServiceName": Intrinsic("rootServiceName"),
    "rootName": Intrinsic("rootName"), "span:name": Intrinsic("name"), "span:kind": Intrinsic("kind"),
    "span:status": Intrinsic("status"), "span:statusMessage": Intrinsic("statusMessage"),
    "span:duration": Intrinsic("duration"), "trace:duration": Intrinsic("traceDuration"),
    "trace:rootName": Intrinsic("rootName"), "trace:rootService": Intrinsic("rootServiceName"),
    "instrumentation:name": Intrinsic("scopeName"), "instrumentation:version": Intrinsic("scopeVersion"),
    "span:childCount": Intrinsic("childCount"), "parent": Intrinsic("span:parentID"),
    **{f"{name}{fixed}": OfEach(name, fixed) for name, known in FIXED.items() for fixed in known},
}  # fmt: skip
"""Names of fields as Tempo writes them beside the short ones."""


def parse_field(text: str) -> Field:
    """A field by the name that APIs and TraceQL give it: `name`, `span.http.route`, `.http.route`, `http.route`."""
    if not text:
        raise UserError("cannot look up a tag without a name; give one of those that search/tags lists")
    if text in ALIASES:
        return ALIASES[text]
    if text in INTRINSICS:
        return Intrinsic(text)
    scope, dot, key = text.partition(".")
    if dot and scope in FIXED and key:
        return OfEach(scope, key)
    if dot and scope in SCOPES and key:
        return Attribute(SCOPES[scope], key)
    return Attribute(None, text.removeprefix("."))


def tag_names(sources: Sequence[Source], condition: Condition) -> dict[str, list[str]]:
    """Keys by scope. Without a condition those of all spans in places that touch the range, and no span is read."""
    found: dict[str, set[str]] = {"resource": set(), "attr": set(), "scope": set()}
    for source in _touching(sources, condition):
        part = None if condition.expr is None else _matching_part(source, condition)
        for column in source.columns:
            parsed = parse_attribute_column(column)
            if parsed is not None and (part is None or part.has(column)):
                found[parsed.scope].add(parsed.key)
    return {scope: sorted(keys) for scope, keys in found.items()}


def tag_values(sources: Sequence[Source], tag: str, condition: Condition) -> list[tuple[str, str]]:
    """(type, value) pairs, sorted: types are string, int, float, bool, keyword, duration.

    Without a condition those of all spans in places that touch the range. A trace in several places counts as it
    stands in each.
    """
    field = parse_field(tag)
    found: set[tuple[str, str]] = set()
    for source in _touching(sources, condition):
        part = None if condition.expr is None else _matching_part(source, condition)
        rows = SpanRows(source, np.arange(len(source.group_starts) - 1)) if part is None else part.rows
        if isinstance(field, OfEach):
            owner, columns = each(field, rows)
            chosen = None if part is None else np.flatnonzero(part.chosen[owner])
        else:
            columns, chosen = field_columns(field, rows), None if part is None else part.hits
        for column, type_ in columns:
            found.update(_values(field, column if chosen is None else column.take(pa.array(chosen)), type_))
        if len(found) >= limits.MAX_TAG_VALUES:
            break
    return sorted(found)[: limits.MAX_TAG_VALUES]


def _touching(sources: Sequence[Source], condition: Condition) -> Iterator[Source]:
    for source in sources:
        t = source.traces
        if len(t) and t.start.min() <= condition.end_ns and t.last_start.max() >= condition.start_ns:
            yield source


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of a source and which of them match."""

    rows: SpanRows
    hits: Rows

    @property
    def chosen(self) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(self.rows), bool)
        found[self.hits] = True
        return found

    def has(self, column: str) -> bool:
        """Whether one of them has a value."""
        values = self.rows.column(column)
        return values is not None and bool(np.asarray(values.is_valid())[self.hits].any())


def _matching_part(source: Source, condition: Condition) -> _Part:
    may = by_traces(source, condition)
    rows = SpanRows(source, groups_of(source, may.sure | may.unsure))
    return _Part(rows, matching_rows(rows, condition))


def _values(field: Field, column: pa.Array, type_: str) -> list[tuple[str, str]]:
    distinct = pc.unique(column)
    if pa.types.is_dictionary(distinct.type):
        distinct = pc.unique(distinct.cast(pa.string()))
    values = [v for v in distinct.slice(0, limits.MAX_TAG_VALUES).to_pylist() if v is not None]
    if field == Intrinsic("kind"):
        return [("keyword", KINDS[v]) for v in values if v < len(KINDS)]
    if field == Intrinsic("status"):
        return [("keyword", STATUSES[v]) for v in values if v < len(STATUSES)]
    if field in (Intrinsic("duration"), Intrinsic("traceDuration")):
        return [("duration", f"{v}ns") for v in values]
    name = {"str": "string", "text": "string", "json": "string", "bytes": "string"}.get(type_, type_)
    return [(name, as_shown(v)) for v in values]


def as_shown(value: object) -> str:
    """A value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.hex() if isinstance(value, bytes) else str(value)
