"""The views that SQL has of spans: `spans`, and `links`, a row for each link of a span."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from obs.columnar.view import View
from obs.model.schema import SPANS as SPANS_SCHEMA
from obs.sql.views import SqlView, attribute_view, union_sql
from obs.tracestore.filenames import SPANS
from obs.tracestore.names import COVERED, DAG_SCHEMA, OFF_PATH, SKEW
from obs.tracestore.parent_ids import PARENT_ID, PARENT_SQL

_SCHEMA = pa.schema([*SPANS_SCHEMA, *(f for f in DAG_SCHEMA if f.name not in (COVERED, SKEW, OFF_PATH))])
_OF_LINKS = ("trace_id", "span_id", "name", "start_ns", "links")


def sql_views(view: View) -> Sequence[SqlView]:
    """Both."""
    return [attribute_view(view, SPANS, "spans", _SCHEMA, derived={PARENT_ID: PARENT_SQL}), _links(view)]


def _links(view: View) -> SqlView:
    """A span that links to several others has a row each; `linked_…` is what it links to."""
    head = view.head(SPANS)
    head = head.select(_OF_LINKS) if head.num_columns else SPANS_SCHEMA.empty_table().select(_OF_LINKS)
    spans = union_sql(view, SPANS, "_head_links")
    sql = (
        "SELECT lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, name, "
        "make_timestamp_ns(start_ns) AS start, start_ns, lower(hex(link.trace_id)) AS linked_trace_id, "
        "lower(hex(link.span_id)) AS linked_span_id, link.trace_state AS trace_state, link.attributes AS attributes, "
        "link.dropped AS dropped, link.flags AS flags "
        f"FROM (SELECT trace_id, span_id, name, start_ns, unnest(links) AS link FROM ({spans}))"
    )
    return SqlView("links", sql, {"_head_links": head})
