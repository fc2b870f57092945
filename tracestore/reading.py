"""One trace put together from all places that hold spans of it: deduplicated, linked, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from obs.columnar.head import concatenate
from obs.model.ports import Held
from obs.tracestore.ids import rows_of_trace, words_id
from obs.tracestore.query import TraceSummary
from obs.tracestore.sources import BlockSource, MemorySource
from obs.tracestore.summaries import TraceRows, root_of

NOTHING_HELD = Held()


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans of one trace, by start, with the columns of their DAG; times are as they were sent."""

    trace_id: bytes
    source: MemorySource
    undecided: int = 0  # spans of it that wait for a sampling decision

    @property
    def partial(self) -> str | None:
        """Why it may not be whole, or not be there for long."""
        if not self.undecided:
            return None
        return f"partial: waiting for the sampling decision; {self.undecided} of its spans are not stored yet"

    @property
    def table(self) -> pa.Table:
        """The spans."""
        return self.source.table(0, len(self.source.order))

    @property
    def summary(self) -> TraceSummary:
        """The trace in one row."""
        return summary_of(self.source.traces, 0, self.trace_id)


def summary_of(traces: TraceRows, trace: int, trace_id: bytes) -> TraceSummary:
    """One trace of a source in one row."""
    service, name = root_of(traces, trace)
    return TraceSummary(
        trace_id, service, name, int(traces.start[trace]), int(traces.duration[trace]),
        int(traces.starts[trace + 1] - traces.starts[trace]), int(traces.errors[trace]), traces.services_of(trace),
    )  # fmt: skip


def read_trace(
    blocks: Sequence[BlockSource], head: pa.Table, trace_id: bytes, held: Held = NOTHING_HELD
) -> Trace | None:
    """A trace from blocks (oldest written first), the unsorted rows of the head and what is held before the store."""
    parts = []
    for block in blocks:
        at = block.traces.find(trace_id)
        if at >= 0:
            parts.append(block.table(int(block.traces.starts[at]), int(block.traces.starts[at + 1])))
    if head.num_rows:
        rows = rows_of_trace(head.column("trace_id"), trace_id)
        if len(rows):
            parts.append(head.take(pa.array(rows)))
    parts += [pa.Table.from_batches([spans]) for spans in held.spans]
    if not parts:
        return None
    return Trace(trace_id, MemorySource("trace", concatenate(parts)), held.undecided)


def traces_of(spans: pa.RecordBatch) -> list[Trace]:
    """The traces of a batch of spans that stands in no store, by id."""
    whole = MemorySource("batch", pa.Table.from_batches([spans]))
    table, t = whole.table(0, len(whole.order)), whole.traces
    return [
        Trace(words_id(t.high[i], t.low[i]), MemorySource("trace", table.slice(t.starts[i], t.spans[i])))
        for i in range(len(t))
    ]
