"""Names of the columns that this room adds to spans, and of the few it reads by name."""

from __future__ import annotations

import pyarrow as pa

SERVICE = "resource.service.name:str"
NO_SERVICE = "unknown_service"
"""What a span without a service.name is counted under. Source: OpenTelemetry semantic conventions, service."""

PARENT_POSITION = "parent_position"
NESTED_LEFT = "nested_left"
NESTED_RIGHT = "nested_right"
DEPTH = "depth"
COVERED = "covered_ns"
SKEW = "skew_ns"
OFF_PATH = "off_path_ns"

DAG_SCHEMA = pa.schema(
    [
        pa.field(PARENT_POSITION, pa.int32(), nullable=False),  # row of the parent within the trace; -1: none here
        pa.field(NESTED_LEFT, pa.int32(), nullable=False),  # a descends from b: b.left < a.left and a.right < b.right
        pa.field(NESTED_RIGHT, pa.int32(), nullable=False),
        pa.field(DEPTH, pa.int32(), nullable=False),  # 0 where parent_position is -1
        pa.field(COVERED, pa.int64(), nullable=False),  # time in which a child ran: self time = duration - this
        pa.field(SKEW, pa.int64(), nullable=False),  # to be added to its times, so that it fits its parent's clock
        pa.field(OFF_PATH, pa.int64(), nullable=False),  # critical-path time = self time - this
    ]
)

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
"""OTLP's SpanKind by number."""

STATUSES = ("unset", "ok", "error")
"""OTLP's StatusCode by number."""

SERVER, CLIENT, ERROR = 2, 3, 2
HOST = "resource.host.name:str"
"""Spans of one host share a clock; where it is not told, those of one service."""
