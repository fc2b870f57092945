"""The one batch form: named Arrow tables of one signal, and the items refused on the way to it.

A `Batch` is what receivers make, processors map and stores append. Frozen; its RecordBatches are never written to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import pyarrow as pa


class Signal(Enum):
    """A kind of telemetry; the value is its name in paths, labels and folders."""

    METRICS = "metrics"
    LOGS = "logs"
    TRACES = "traces"

    @property
    def item_table(self) -> str:
        """The table whose rows are the items that the ledger counts."""
        return {"metrics": "samples", "logs": "logs", "traces": "spans"}[self.value]


@dataclass(frozen=True, slots=True)
class Batch:
    """Tables by name in the canonical schemas of `obs.model.schema`; absent means empty.

    metrics: series (only those new to the sender's `SeriesCache`), samples, exemplars, metadata;
    logs: logs; traces: spans.
    """

    signal: Signal
    tables: Mapping[str, pa.RecordBatch]

    @property
    def items(self) -> int:
        """How many points, records or spans this batch holds."""
        table = self.tables.get(self.signal.item_table)
        return 0 if table is None else int(table.num_rows)

    @property
    def nbytes(self) -> int:
        """Memory held by the tables' buffers."""
        return sum(int(t.nbytes) for t in self.tables.values())


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came of one request body: the batch, and refused items as reason → count."""

    batch: Batch
    rejected: Mapping[str, int] = field(default_factory=dict)
    pending: object = None  # the decoder's own: what `SeriesCache.commit` records once a store took the batch
    why: Mapping[str, str] = field(default_factory=dict)  # reason → a sentence, where a store was the one to refuse

    @property
    def rejected_items(self) -> int:
        """How many items were refused."""
        return sum(self.rejected.values())

    @property
    def received_items(self) -> int:
        """How many items the body held."""
        return self.batch.items + self.rejected_items
