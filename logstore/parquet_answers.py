"""Results as Parquet: records as (timestamp, labels, line), metrics as (timestamp, labels, value).

Source: Loki, "HTTP API", Query logs at a single point in time: Accept: application/vnd.apache.parquet.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.requests import Request
from starlette.responses import Response

from obs.logstore.logql.matrix import Matrix, Steps
from obs.logstore.logql.records import LogEntry
from obs.logstore.responses import all_labels

MEDIA_TYPE = "application/vnd.apache.parquet"
_TIME = pa.timestamp("ns", "UTC")
_LABELS = pa.map_(pa.string(), pa.string())


def wanted(request: Request) -> bool:
    """Whether a request asks for Parquet."""
    return MEDIA_TYPE in request.headers.get("accept", "")


def streams(entries: Iterable[LogEntry]) -> Response:
    """A row a record, in their order."""
    rows = list(entries)
    return _answer(
        timestamp=pa.array([e.time_ns for e in rows], pa.int64()).cast(_TIME),
        labels=pa.array([list(all_labels(e)) for e in rows], _LABELS),
        line=pa.array([e.line for e in rows], pa.string()),
    )


def matrix(found: Matrix, steps: Steps) -> Response:
    """A row a sample, series by series."""
    times = steps.times()
    at = [(row, k) for row in range(len(found.labels)) for k in found.present[row].nonzero()[0].tolist()]
    return _answer(
        timestamp=pa.array([times[k] for _, k in at], pa.int64()).cast(_TIME),
        labels=pa.array([list(found.labels[row]) for row, _ in at], _LABELS),
        value=pa.array([float(found.values[row, k]) for row, k in at], pa.float64()),
    )


def _answer(**columns: pa.Array) -> Response:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return Response(sink.getvalue().to_pybytes(), media_type=MEDIA_TYPE)
