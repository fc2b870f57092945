"""The views that SQL has of spans: `spans`, and `links`, a row for each link of a span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from obs.columnar.view import View
from obs.model.schema import SPANS as SPANS_SCHEMA
from obs.sql.views import SqlView, attribute_view, union_sql
from obs.tracestore.filenames import SPANS
from obs.tracestore.names import COVERED, DAG_SCHEMA, OFF_PATH, SKEW
from obs.tracestore.opened import Counted
from obs.tracestore.parent_ids import PARENT_ID, PARENT_SQL
from obs.tracestore.sources import Rows

_SCHEMA = pa.schema([*SPANS_SCHEMA, *(f for f in DAG_SCHEMA if f.name not in (COVERED, SKEW, OFF_PATH))])
_SUPERSEDED = f"_superseded_{SPANS}"  # as `attribute_view` names it: both views name one table
_OF_LINKS = ("trace_id", "span_id", "name", "start_ns", "links")


def sql_views(view: View, counted: Counted) -> Sequence[SqlView]:
    """Both; a span that was sent again counts once."""
    superseded = _superseded(view, counted.superseded)
    spans = attribute_view(
        view, SPANS, "spans", _SCHEMA, derived={PARENT_ID: PARENT_SQL}, head=counted.head, superseded=superseded
    )
    return [spans, _links(view, counted.head, superseded)]


def _superseded(view: View, rows: Mapping[str, Rows]) -> pa.Table | None:
    """Rows of files that do not count: (filename, file_row_number)."""
    paths = {block.name: str(path) for block in view.blocks if (path := block.path(SPANS)) is not None}
    names = [name for name in paths if len(rows.get(name, ()))]
    if not names:
        return None
    codes = np.repeat(np.arange(len(names), dtype=np.int32), [len(rows[name]) for name in names])
    files = pa.DictionaryArray.from_arrays(codes, [paths[name] for name in names])
    return pa.table({"filename": files, "file_row_number": np.concatenate([rows[name] for name in names])})


def _links(view: View, head: pa.Table, superseded: pa.Table | None) -> SqlView:
    """A span that links to several others has a row each; `linked_…` is what it links to."""
    head = head.select(_OF_LINKS) if head.num_columns else SPANS_SCHEMA.empty_table().select(_OF_LINKS)
    spans = union_sql(view, SPANS, "_head_links", superseded=_SUPERSEDED if superseded is not None else None)
    sql = (
        "SELECT lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, name, "
        "make_timestamp_ns(start_ns) AS start, start_ns, lower(hex(link.trace_id)) AS linked_trace_id, "
        "lower(hex(link.span_id)) AS linked_span_id, link.trace_state AS trace_state, link.attributes AS attributes, "
        "link.dropped AS dropped, link.flags AS flags "
        f"FROM (SELECT trace_id, span_id, name, start_ns, unnest(links) AS link FROM ({spans}))"
    )
    arrow = {"_head_links": head}
    return SqlView("links", sql, arrow if superseded is None else {**arrow, _SUPERSEDED: superseded})
