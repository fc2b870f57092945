"""The canonical Arrow schemas: what every receiver produces, the WAL writes and the stores keep.

Fixed columns are listed here; attributes are columns of their own, one per scope, key and type, named by
`attribute_column`: `resource.service.name:str`, `scope.x:int`, `attr.http.route:str`.
Which columns are dictionary-encoded is fixed too, so that batches concatenate: see `column_type`.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

DICT = pa.dictionary(pa.int32(), pa.string())
TRACE_ID = pa.binary(16)
SPAN_ID = pa.binary(8)
LABELS = pa.map_(pa.string(), pa.string())
OVERFLOW = "attr_overflow"
"""map<column name, value as text>: the attributes past the limit of columns, still searchable."""

EVENT = pa.struct(
    [("time_ns", pa.int64()), ("name", pa.string()), ("attributes", pa.string()), ("dropped", pa.uint32())]
)
"""A span event; `attributes` is a JSON object with the values' own types."""
LINK = pa.struct(
    [("trace_id", TRACE_ID), ("span_id", SPAN_ID), ("trace_state", pa.string()), ("attributes", pa.string()),
     ("dropped", pa.uint32()), ("flags", pa.uint32())]
)  # fmt: skip

SPANS = pa.schema(
    [
        pa.field("trace_id", TRACE_ID, nullable=False),
        pa.field("span_id", SPAN_ID, nullable=False),
        pa.field("parent_span_id", SPAN_ID),  # null: a root
        pa.field("trace_state", pa.string()),
        pa.field("flags", pa.uint32()),
        pa.field("name", DICT),
        pa.field("kind", pa.uint8()),  # OTLP SpanKind: 0 unspecified … 5 consumer
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("end_ns", pa.int64(), nullable=False),
        pa.field("status_code", pa.uint8()),  # OTLP: 0 unset, 1 ok, 2 error
        pa.field("status_message", pa.string()),
        pa.field("scope_name", DICT),
        pa.field("scope_version", DICT),
        pa.field("events", pa.list_(EVENT)),
        pa.field("links", pa.list_(LINK)),
        pa.field("dropped_attributes", pa.uint32()),
        pa.field("dropped_events", pa.uint32()),
        pa.field("dropped_links", pa.uint32()),
    ]
)

LOGS = pa.schema(
    [
        pa.field("time_ns", pa.int64(), nullable=False),  # the record's own time, else the observed one
        pa.field("observed_ns", pa.int64(), nullable=False),
        pa.field("severity_number", pa.uint8()),  # OTLP: 0 unspecified, 1-4 trace … 21-24 fatal
        pa.field("severity_text", DICT),
        pa.field("body", pa.string()),  # text as it came; JSON text where the body is structured
        pa.field("body_type", pa.uint8()),  # 0 none, 1 text, 2 JSON of a structured body
        pa.field("trace_id", TRACE_ID),
        pa.field("span_id", SPAN_ID),
        pa.field("flags", pa.uint32()),
        pa.field("event_name", DICT),
        pa.field("scope_name", DICT),
        pa.field("scope_version", DICT),
        pa.field("dropped_attributes", pa.uint32()),
    ]
)

SERIES = pa.schema([pa.field("series_id", pa.uint64(), nullable=False), pa.field("labels", LABELS, nullable=False)])
"""A series' labels under its id; pairs sorted by name. A batch carries those of its series that are new."""

SAMPLES = pa.schema(
    [
        pa.field("series_id", pa.uint64(), nullable=False),
        pa.field("t_ms", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)

HISTOGRAMS = pa.schema(
    [
        pa.field("series_id", pa.uint64(), nullable=False),
        pa.field("t_ms", pa.int64(), nullable=False),
        pa.field("schema", pa.int8(), nullable=False),  # resolution -4 … 8; -53: bounds of its own
        pa.field("count", pa.float64(), nullable=False),
        pa.field("sum", pa.float64(), nullable=False),
        pa.field("zero_threshold", pa.float64(), nullable=False),
        pa.field("zero_count", pa.float64(), nullable=False),
        pa.field("positive_offset", pa.int32(), nullable=False),  # index of the first of `positive`
        pa.field("positive", pa.list_(pa.float64()), nullable=False),  # observations in each bucket
        pa.field("negative_offset", pa.int32(), nullable=False),
        pa.field("negative", pa.list_(pa.float64()), nullable=False),
        pa.field("custom_values", pa.list_(pa.float64())),  # upper bounds, where the schema is -53
        pa.field("hint", pa.int8(), nullable=False),  # 0 unknown, 1 reset, 2 no reset, 3 gauge
    ]
)
"""Native histograms. Beside each stands a row of `samples` with its count as value; index i of schema s ends at
2 ** (i * 2 ** -s). Source: prometheus.io/docs/specs/native_histograms, "Buckets"."""

EXEMPLARS = pa.schema(
    [
        pa.field("series_id", pa.uint64(), nullable=False),
        pa.field("t_ms", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("labels", LABELS),  # trace_id and span_id as hex, and the filtered attributes
    ]
)

STARTS = pa.schema(
    [
        pa.field("series_id", pa.uint64(), nullable=False),
        pa.field("t_ms", pa.int64(), nullable=False),
        pa.field("start_ms", pa.int64(), nullable=False),  # when what the sample counts began; 0: not known
    ]
)
"""Start timestamps, of the sample of this series and time and of those after it in its UTC day, up to the next row: a
row is needed where the start changes, and each day anew. Samples before the first row of a day have none."""

DAY_MS = 86_400_000
"""A row of `starts` holds for the rest of its day."""

METADATA = pa.schema(
    [
        pa.field("metric", pa.string(), nullable=False),  # the family name, without _total, _bucket …
        pa.field("type", pa.string()),  # counter gauge histogram summary unknown
        pa.field("unit", pa.string()),
        pa.field("help", pa.string()),
    ]
)

TABLES: dict[str, pa.Schema] = {
    "spans": SPANS, "logs": LOGS, "series": SERIES, "samples": SAMPLES, "histograms": HISTOGRAMS,
    "exemplars": EXEMPLARS, "metadata": METADATA, "starts": STARTS,
}  # fmt: skip

ATTRIBUTE_TYPES = {
    "str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "bytes": pa.binary(),
    "json": pa.string(),  # arrays, maps, and values of no type (null)
}  # fmt: skip

MAX_ATTRIBUTE_COLUMNS = 512
"""Attribute columns of one batch or block; further keys go to `attr_overflow`. Wider Parquet files cost
more in footers than the columns save; real fleets stay under 300."""


class Attribute(NamedTuple):
    """An attribute column, taken apart: scope is `resource`, `scope` or `attr`."""

    scope: str
    key: str
    type: str


def attribute_column(scope: str, key: str, type_: str) -> str:
    """The column that holds attribute `key` of `scope` where its value is of `type_` (see ATTRIBUTE_TYPES)."""
    return f"{scope}.{key}:{type_}"


def parse_attribute_column(column: str) -> Attribute | None:
    """The attribute a column holds, or None for a fixed column."""
    scope, dot, rest = column.partition(".")
    key, colon, type_ = rest.rpartition(":")
    if not (dot and colon) or scope not in ("resource", "scope", "attr") or type_ not in ATTRIBUTE_TYPES:
        return None
    return Attribute(scope, key, type_)


def column_type(scope: str, type_: str) -> pa.DataType:
    """The Arrow type of an attribute column: resource and scope strings are dictionary-encoded, `attr` never is."""
    return DICT if type_ == "str" and scope != "attr" else ATTRIBUTE_TYPES[type_]
