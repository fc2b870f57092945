"""Volumes and counts of what a selector selects: for Loki's index endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obs.errors import QueryError
from obs.logstore import limits
from obs.logstore.logql import LogQL
from obs.logstore.logql.matrix import Matrix, Steps
from obs.logstore.logql.parse import parse
from obs.logstore.logql.syntax import Grouping, LogQuery, Metric, RangeAggregation, VectorAggregation
from obs.logstore.names import label_name
from obs.logstore.selection import Selection, Stats
from obs.logstore.store import LogStore
from obs.model.labels import Matcher


@dataclass(frozen=True, slots=True)
class Volume:
    """Bytes of a selector's lines, by values of labels or (`by_label`) by names of labels; the `limit` largest."""

    query: str
    targets: tuple[str, ...] = ()
    by_label: bool = False
    limit: int = limits.DEFAULT_ENTRIES


def volumes(logql: LogQL, volume: Volume, steps: Steps, range_ns: int) -> tuple[Matrix, Steps, Stats]:
    """Volumes at every step, largest first; of `targets`, else of the labels that the selector names.

    Raises: QueryError, QueryLimit.
    """
    query = parse(volume.query)
    if not isinstance(query, LogQuery):
        raise QueryError(f"cannot measure the volume of {volume.query!r}: it computes numbers; give a selector")
    names = tuple(map(label_name, volume.targets)) or tuple(dict.fromkeys(m.name for m in query.matchers))
    measured: Metric = RangeAggregation("bytes_over_time", query, range_ns)
    if names or not volume.by_label:
        measured = VectorAggregation("sum", measured, Grouping(names or ("service_name",)))
    found, _, read = logql.range(str(measured), steps.start_ns, steps.last_ns, steps.step_ns)
    if volume.by_label:
        found = _by_label(found)
    order = np.argsort(-np.where(found.present, found.values, 0.0).sum(axis=1), kind="stable")[: volume.limit]
    return Matrix([found.labels[i] for i in order], found.values[order], found.present[order]), steps, read


def _by_label(found: Matrix) -> Matrix:
    """The rows that have a label added up under its name alone, as Loki shows them."""
    names = sorted({name for labels in found.labels for name, _ in labels})
    rows = [[i for i, labels in enumerate(found.labels) if any(name == own for own, _ in labels)] for name in names]
    shape = (len(names), found.values.shape[1])
    values = np.array([np.where(found.present[i], found.values[i], 0.0).sum(axis=0) for i in rows]).reshape(shape)
    present = np.array([found.present[i].any(axis=0) for i in rows], np.bool_).reshape(shape)
    return Matrix([((name, ""),) for name in names], values, present)


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
