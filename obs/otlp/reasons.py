"""Why an item is refused: the short name that the ledger counts, and the sentence that the sender reads."""

from __future__ import annotations

TRACE_ID = "invalid_trace_id"
SPAN_ID = "invalid_span_id"
PARENT_ID = "invalid_parent_span_id"
TIME = "time_out_of_range"
NAME = "empty_metric_name"
TEMPORALITY = "invalid_temporality"
NO_VALUE = "no_value"
HISTOGRAM = "histogram_mismatch"
LABELS = "too_many_labels"
DELTA_ORDER = "delta_out_of_order"

SENTENCES = {
    TRACE_ID: "the trace id is not 16 bytes, or is all zero",
    SPAN_ID: "the span id is not 8 bytes, or is all zero",
    PARENT_ID: "the parent span id is not 8 bytes",
    TIME: "a timestamp lies past the year 2262",
    NAME: "the metric has no name",
    TEMPORALITY: "the aggregation temporality is neither delta nor cumulative",
    NO_VALUE: "the data point has no value and no flag that says so",
    HISTOGRAM: "its counts do not fit its bounds, or these do not rise, or they or its scale are too far out",
    LABELS: "the series has more than 256 labels",
    DELTA_ORDER: "the delta point is not newer than the last one of its series",
}

ORDER = tuple(SENTENCES)
"""Kernels name a reason by its position here plus one; 0 is no fault."""
