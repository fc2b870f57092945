"""Latencies over time: a heat map of all selected spans, and single traces as points.

In: spans place by place, or traces that were found. Out: counts by cells whose bounds are given, points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tracestore.analysis.chosen import Spans
from obs.tracestore.buckets import BITS, BUCKETS, bucket_of
from obs.tracestore.names import ERROR
from obs.tracestore.query import TraceSummary

Counts = npt.NDArray[np.int64]


def heat_map(places: Iterable[Spans], range_ns: tuple[int, int], columns: int) -> dict[str, Any]:
    """Spans and errors by time (`columns` of one width) and duration (four rows to a doubling, from the first used on).

    Cells come as lists a row, from short to long durations; `rowsNs` are the lower bounds of rows.
    """
    start, end = range_ns
    width = max(-(-(end - start + 1) // columns), 1)
    rows = BUCKETS >> (BITS - 2)
    spans, errors = np.zeros(rows * columns, np.int64), np.zeros(rows * columns, np.int64)
    for found in places:
        begins = found.rows.numbers("start_ns")[found.hits]
        duration = found.rows.numbers("end_ns")[found.hits] - begins
        row = np.maximum(bucket_of(duration) - 1, 0) >> (BITS - 2)
        cell = row * columns + np.clip((begins - start) // width, 0, columns - 1)
        spans += np.bincount(cell, minlength=rows * columns)
        failed = found.rows.numbers("status_code")[found.hits] == ERROR
        errors += np.bincount(cell[failed], minlength=rows * columns)
    by_row, failed_by_row = spans.reshape(rows, columns), errors.reshape(rows, columns)
    used = np.flatnonzero(by_row.any(axis=1))
    shown = np.arange(used.min(), used.max() + 1) if len(used) else used
    return {
        "startNs": start, "columnNs": width, "columns": columns, "rowsNs": [_lower_ns(r) for r in shown.tolist()],
        "spans": by_row[shown].tolist(), "errors": failed_by_row[shown].tolist(),
    }  # fmt: skip


def _lower_ns(row: int) -> int:
    octave, part = divmod(row, 4)
    return int(2**octave * (4 + part) // 4) if row else 0


def scatter(traces: Sequence[TraceSummary]) -> list[dict[str, Any]]:
    """A point a trace."""
    return [
        {
            "traceId": t.trace_id.hex(), "startNs": t.start_ns, "durationNs": t.duration_ns, "spans": t.spans,
            "errors": t.errors, "rootService": t.root_service, "rootName": t.root_name,
        }
        for t in traces
    ]  # fmt: skip
