"""Which attributes there are and which values they take: what search forms offer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import UserError
from obs.model.schema import parse_attribute_column
from obs.tracestore import limits
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import SCOPES, Attribute, Field, Intrinsic, OfEach
from obs.tracestore.fields import INTRINSICS, field_columns
from obs.tracestore.names import KINDS, STATUSES
from obs.tracestore.nested import FIXED
from obs.tracestore.sources import Source

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


def tag_names(sources: Sequence[Source]) -> dict[str, list[str]]:
    """Keys by scope."""
    found: dict[str, set[str]] = {"resource": set(), "attr": set(), "scope": set()}
    for source in sources:
        for column in source.columns:
            parsed = parse_attribute_column(column)
            if parsed is not None:
                found[parsed.scope].add(parsed.key)
    return {scope: sorted(keys) for scope, keys in found.items()}


def tag_values(sources: Sequence[Source], tag: str, start_ns: int, end_ns: int) -> list[tuple[str, str]]:
    """(type, value) pairs, sorted: types are string, int, float, bool, keyword, duration."""
    field = parse_field(tag)
    found: set[tuple[str, str]] = set()
    for source in sources:
        t = source.traces
        if len(t) and t.start.min() <= end_ns and t.last_start.max() >= start_ns:
            rows = SpanRows(source, np.arange(len(source.group_starts) - 1))
            for column, type_ in field_columns(field, rows):
                found.update(_values(field, column, type_))
        if len(found) >= limits.MAX_TAG_VALUES:
            break
    return sorted(found)[: limits.MAX_TAG_VALUES]


def _values(field: Field, column: pa.Array, type_: str) -> list[tuple[str, str]]:
    distinct = pc.unique(column)
    if pa.types.is_dictionary(distinct.type):
        distinct = distinct.cast(pa.string())
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
