"""What metrics are: type, unit and help by metric family, the latest description last.

Small (thousands of rows), so that it is kept as Python values, and written whole with every generation and block:
it then outlives the rows with which it came.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pyarrow as pa

from obs.model.schema import METADATA
from obs.tsdb.limits import METADATA_PER_METRIC


@dataclass(frozen=True, slots=True)
class Description:
    """One description of a metric."""

    type: str
    unit: str
    help: str


class MetadataRegistry:
    """Descriptions by metric. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_metric: dict[str, dict[Description, None]] = {}

    def add(self, table: pa.RecordBatch | pa.Table) -> None:
        """Learn rows in the canonical schema; a known description becomes the latest."""
        with self._lock:
            for metric, description in _rows(table):
                known = self._by_metric.setdefault(metric, {})
                known.pop(description, None)
                known[description] = None
                if len(known) > METADATA_PER_METRIC:
                    del known[next(iter(known))]

    def add_older(self, table: pa.RecordBatch | pa.Table) -> None:
        """Learn rows that were written before all that is known."""
        with self._lock:
            for metric, description in reversed(_rows(table)):
                known = self._by_metric.setdefault(metric, {})
                if description not in known and len(known) < METADATA_PER_METRIC:
                    self._by_metric[metric] = {description: None, **known}

    def of(self, metric: str | None = None) -> dict[str, list[Description]]:
        """Descriptions by metric, the latest first; of one metric, where it is named.

        Clients read the first alone, so one that says nothing, as a federated page has, comes last.
        """
        with self._lock:
            if metric is not None:
                known = self._by_metric.get(metric)
                return {metric: _latest_first(known)} if known else {}
            return {name: _latest_first(known) for name, known in self._by_metric.items()}

    def to_arrow(self) -> pa.RecordBatch:
        """Everything in the canonical schema, the latest of a metric last."""
        with self._lock:
            rows = [(m, d.type, d.unit, d.help) for m, known in self._by_metric.items() for d in known]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(METADATA.names)
        return pa.RecordBatch.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, METADATA, strict=True)], schema=METADATA
        )


def _latest_first(known: dict[Description, None]) -> list[Description]:
    latest = list(reversed(known))
    latest.sort(key=lambda d: d.type == "unknown" and not d.help)
    return latest


def _rows(table: pa.RecordBatch | pa.Table) -> list[tuple[str, Description]]:
    if not table.num_rows:
        return []
    columns = (table.column(name).to_pylist() for name in METADATA.names)
    return [(m, Description(t or "unknown", u or "", h or "")) for m, t, u, h in zip(*columns, strict=True)]
