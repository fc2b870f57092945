"""Volumes and counts of what a selector selects: for Loki's index endpoints."""

from __future__ import annotations

from collections.abc import Sequence

from obs.errors import QueryError
from obs.logstore.logql.parse import parse
from obs.logstore.logql.syntax import Grouping, LogQuery, RangeAggregation, VectorAggregation
from obs.logstore.names import label_name
from obs.logstore.selection import Selection, Stats
from obs.logstore.store import LogStore
from obs.model.labels import Matcher


def volume_query(selector: str, target_labels: str, range_ns: int) -> str:
    """The metric query of a volume: bytes by `target_labels`, unless given by the labels the selector names."""
    query = parse(selector)
    if not isinstance(query, LogQuery):
        raise QueryError(f"cannot measure the volume of {selector!r}: it computes numbers; give a selector")
    names = tuple(label_name(n.strip()) for n in target_labels.split(",") if n.strip())
    names = names or tuple(dict.fromkeys(m.name for m in query.matchers)) or ("service_name",)
    inner = RangeAggregation("bytes_over_time", query, range_ns)
    return str(VectorAggregation("sum", inner, Grouping(names)))


def index_stats(store: LogStore, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> dict[str, int]:
    """Streams, row groups, records and bytes that a selector may reach; whole row groups are counted."""
    stats = Stats()
    with store.read(Selection(tuple(matchers), start_ns, end_ns), stats) as units:
        entries = sum(unit.rows for unit in units)
    held = store.stats()
    items = held.items_head + held.items_blocks
    each = (held.bytes_head + held.bytes_disk) / items if items else 0.0
    streams = len(store.stream_labels(matchers, start_ns, end_ns))
    return {"streams": streams, "chunks": len(units), "entries": entries, "bytes": round(entries * each)}
