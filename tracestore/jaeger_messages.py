"""Messages of Jaeger's query APIs over gRPC, v2 and v3, as tables of fields.

A map is a repeated message of key and value, as on the wire. Spans of v3 are OTLP's own messages.
Source: jaeger-idl, api_v2/model.proto and query.proto, api_v3/query_service.proto.
"""

from __future__ import annotations

from obs.wire_messages import Fields, message_classes

_ONE, _MANY = 1, 3
_DOUBLE, _INT64, _UINT64, _INT32, _FIXED64, _BOOL, _TEXT, _MESSAGE, _BYTES, _UINT32 = 1, 3, 4, 5, 6, 8, 9, 11, 12, 13

_MOMENT = (("seconds", 1, _INT64, _ONE, ""), ("nanos", 2, _INT32, _ONE, ""))
_RANGE = (("start_time", 2, _MESSAGE, _ONE, "Moment"), ("end_time", 3, _MESSAGE, _ONE, "Moment"))
_SEARCH = (
    ("service_name", 1, _TEXT, _ONE, ""),
    ("operation_name", 2, _TEXT, _ONE, ""),
    ("tags", 3, _MESSAGE, _MANY, "Tag"),  # `attributes` in v3
    ("start_time_min", 4, _MESSAGE, _ONE, "Moment"),
    ("start_time_max", 5, _MESSAGE, _ONE, "Moment"),
    ("duration_min", 6, _MESSAGE, _ONE, "Moment"),
    ("duration_max", 7, _MESSAGE, _ONE, "Moment"),
    ("search_depth", 8, _INT32, _ONE, ""),
    ("raw_traces", 9, _BOOL, _ONE, ""),
    ("filter", 10, _BYTES, _ONE, ""),  # v3's structured filter
)
_BOTH: Fields = {
    "Moment": _MOMENT,  # Timestamp and Duration are alike
    "Tag": (("key", 1, _TEXT, _ONE, ""), ("value", 2, _TEXT, _ONE, "")),
    "Search": _SEARCH,
    "FindTraces": (("query", 1, _MESSAGE, _ONE, "Search"),),
    "Services": (("services", 1, _TEXT, _MANY, ""),),
    "GetOperations": (("service", 1, _TEXT, _ONE, ""), ("span_kind", 2, _TEXT, _ONE, "")),
    "Operation": (("name", 1, _TEXT, _ONE, ""), ("span_kind", 2, _TEXT, _ONE, "")),
    "GetDependencies": (("start_time", 1, _MESSAGE, _ONE, "Moment"), ("end_time", 2, _MESSAGE, _ONE, "Moment")),
    "Dependency": (
        ("parent", 1, _TEXT, _ONE, ""),
        ("child", 2, _TEXT, _ONE, ""),
        ("call_count", 3, _UINT64, _ONE, ""),
    ),
    "Dependencies": (("dependencies", 1, _MESSAGE, _MANY, "Dependency"),),
}
V3 = message_classes("obs.jaeger.v3", {
    **_BOTH,
    "GetTrace": (("trace_id", 1, _TEXT, _ONE, ""), *_RANGE, ("raw_traces", 4, _BOOL, _ONE, "")),
    "Operations": (("operations", 1, _MESSAGE, _MANY, "Operation"),),
    "ServiceSummary": (
        ("name", 1, _TEXT, _ONE, ""), ("span_count", 2, _INT32, _ONE, ""), ("error_span_count", 3, _INT32, _ONE, ""),
    ),
    "TraceSummary": (
        ("trace_id", 1, _TEXT, _ONE, ""), ("root_service_name", 2, _TEXT, _ONE, ""),
        ("root_operation_name", 3, _TEXT, _ONE, ""), ("min_start_time_unix_nano", 4, _FIXED64, _ONE, ""),
        ("max_end_time_unix_nano", 5, _FIXED64, _ONE, ""), ("span_count", 6, _INT32, _ONE, ""),
        ("error_span_count", 7, _INT32, _ONE, ""), ("orphan_span_count", 8, _INT32, _ONE, ""),
        ("services", 9, _MESSAGE, _MANY, "ServiceSummary"),
    ),
    "Summaries": (("summaries", 1, _MESSAGE, _MANY, "TraceSummary"),),
})  # fmt: skip
V2 = message_classes("obs.jaeger.v2", {
    **_BOTH,
    "GetTrace": (("trace_id", 1, _BYTES, _ONE, ""), *_RANGE, ("raw_traces", 4, _BOOL, _ONE, "")),
    "Operations": (("operationNames", 1, _TEXT, _MANY, ""), ("operations", 2, _MESSAGE, _MANY, "Operation")),
    "KeyValue": (
        ("key", 1, _TEXT, _ONE, ""), ("v_type", 2, _INT32, _ONE, ""), ("v_str", 3, _TEXT, _ONE, ""),
        ("v_bool", 4, _BOOL, _ONE, ""), ("v_int64", 5, _INT64, _ONE, ""), ("v_float64", 6, _DOUBLE, _ONE, ""),
        ("v_binary", 7, _BYTES, _ONE, ""),
    ),
    "Log": (("timestamp", 1, _MESSAGE, _ONE, "Moment"), ("fields", 2, _MESSAGE, _MANY, "KeyValue")),
    "SpanRef": (
        ("trace_id", 1, _BYTES, _ONE, ""), ("span_id", 2, _BYTES, _ONE, ""), ("ref_type", 3, _INT32, _ONE, ""),
    ),
    "Process": (("service_name", 1, _TEXT, _ONE, ""), ("tags", 2, _MESSAGE, _MANY, "KeyValue")),
    "Span": (
        ("trace_id", 1, _BYTES, _ONE, ""), ("span_id", 2, _BYTES, _ONE, ""), ("operation_name", 3, _TEXT, _ONE, ""),
        ("references", 4, _MESSAGE, _MANY, "SpanRef"), ("flags", 5, _UINT32, _ONE, ""),
        ("start_time", 6, _MESSAGE, _ONE, "Moment"), ("duration", 7, _MESSAGE, _ONE, "Moment"),
        ("tags", 8, _MESSAGE, _MANY, "KeyValue"), ("logs", 9, _MESSAGE, _MANY, "Log"),
        ("process", 10, _MESSAGE, _ONE, "Process"), ("process_id", 11, _TEXT, _ONE, ""),
        ("warnings", 12, _TEXT, _MANY, ""),
    ),
    "Spans": (("spans", 1, _MESSAGE, _MANY, "Span"),),
})  # fmt: skip
