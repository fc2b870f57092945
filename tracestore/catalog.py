"""Services with their operations, and the calls between services, of one block: small, precomputed, as JSON.

In: sorted `SpanColumns` with their DAG. Out: `Catalog`, its bytes, and catalogs put together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from obs.tracestore import limits
from obs.tracestore.buckets import BUCKETS, bucket_of
from obs.tracestore.dag import Dag
from obs.tracestore.names import ERROR, NO_SERVICE
from obs.tracestore.parent_ids import parent_rows
from obs.tracestore.spancolumns import SpanColumns, Times

Operations = dict[str, dict[str, list[int]]]  # service → operation → span kinds
Edge = tuple[str, str]  # parent service, child service


@dataclass(slots=True)
class EdgeSums:
    """What the calls over one edge sum up to."""

    calls: int = 0
    errors: int = 0
    duration_ns: int = 0
    buckets: Counter[int] = field(default_factory=Counter)  # calls by `buckets.bucket_of` their duration

    def add(self, other: EdgeSums, sign: int = 1) -> None:
        """Count what `other` counted; with -1 no more."""
        self.calls += sign * other.calls
        self.errors += sign * other.errors
        self.duration_ns += sign * other.duration_ns
        for bucket, calls in other.buckets.items():
            self.buckets[bucket] += sign * calls


Edges = Mapping[Edge, EdgeSums]


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is in a block, or in many."""

    operations: Operations = field(default_factory=dict)
    edges: Edges = field(default_factory=dict)
    bucketed: bool = True  # earlier blocks know no buckets


def count_edges(c: SpanColumns, parents: npt.NDArray[np.int64]) -> Edges:
    """Calls from one service to another: spans whose parent's service is another one."""
    child = np.flatnonzero(parents >= 0)
    above, below = c.service[parents[child]], c.service[child]
    crossing = above != below
    child, above, below = child[crossing], above[crossing], below[crossing]
    return sum_edges(above, below, c.services, c.services, c.status[child], c.duration[child])


def sum_edges(
    above: npt.NDArray[np.int32], below: npt.NDArray[np.int32], above_names: list[str], below_names: list[str],
    status: npt.NDArray[np.uint8], duration: Times,
) -> Edges:  # fmt: skip
    """Sums by (parent, child), given as codes into two lists of names."""
    if not len(above):
        return {}
    width = len(below_names) + 1
    pairs, place = numbered((above + 1).astype(np.int64) * width + below + 1, (len(above_names) + 1) * width)
    calls = np.bincount(place)
    errors = np.bincount(place, weights=status == ERROR)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, place, duration)
    held = _buckets(place, len(pairs), duration)
    found: dict[Edge, EdgeSums] = defaultdict(EdgeSums)
    for i, pair in enumerate(pairs.tolist()):
        edge = _name(pair // width - 1, above_names), _name(pair % width - 1, below_names)
        found[edge].add(EdgeSums(int(calls[i]), int(errors[i]), int(total[i]), held[i]))
    return found


def numbered(codes: npt.NDArray[np.int64], end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct codes, all of 0 … `end` - 1, ascending, and which of them each one is."""
    if end > 8 * len(codes) + 4096:
        return np.unique(codes, return_inverse=True)
    distinct = np.flatnonzero(np.bincount(codes, minlength=end))
    number = np.zeros(end, np.int64)
    number[distinct] = np.arange(len(distinct))
    return distinct, number[codes]


def _buckets(place: npt.NDArray[np.int64], pairs: int, duration: Times) -> list[Counter[int]]:
    """Calls by bucket of their duration, for each pair."""
    cell = place * BUCKETS + bucket_of(duration)
    if pairs * BUCKETS <= 8 * len(place) + 1_000_000:
        calls = np.bincount(cell)
        cells = np.flatnonzero(calls)
        calls = calls[cells]
    else:
        cells, calls = np.unique(cell, return_counts=True)
    held: list[Counter[int]] = [Counter() for _ in range(pairs)]
    for c, n in zip(cells.tolist(), calls.tolist(), strict=True):
        held[c // BUCKETS][c % BUCKETS] = n
    return held


def _name(code: int, names: list[str]) -> str:
    return names[code] if code >= 0 else NO_SERVICE


def operations_of(c: SpanColumns) -> Operations:
    """The operations of each service, with the kinds of their spans."""
    packed = ((c.service + 1).astype(np.int64) * (len(c.names) + 1) + c.name + 1) * 8 + np.minimum(c.kind, 7)
    size = (len(c.services) + 1) * (len(c.names) + 1) * 8
    distinct = np.flatnonzero(np.bincount(packed, minlength=1)) if size <= 8 * len(c) + 4096 else np.unique(packed)
    found: Operations = {}
    for code in distinct.tolist():
        pair, kind = divmod(code, 8)
        service, name = divmod(pair, len(c.names) + 1)
        operations = found.setdefault(_name(service - 1, c.services), {})
        operation = c.names[name - 1] if name else ""
        if operation in operations or len(operations) < limits.MAX_OPERATIONS:
            operations.setdefault(operation, []).append(kind)
    return found


def make_catalog(c: SpanColumns, starts: Times, dag: Dag) -> Catalog:
    """The catalog of sorted spans."""
    return Catalog(operations_of(c), count_edges(c, parent_rows(starts, dag.parent)))


def encode(catalog: Catalog) -> bytes:
    """As JSON; sums past 64 bits are no concern: 2^63 ns are 292 years."""
    edges = [
        [*edge, s.calls, s.errors, s.duration_ns, [*s.buckets.keys()], [*s.buckets.values()]]
        for edge, s in catalog.edges.items()
    ]
    return orjson.dumps({"operations": catalog.operations, "edges": edges})


def decode(data: bytes) -> Catalog:
    """The way back; an empty catalog where `data` is empty (a damaged block)."""
    if not data:
        return Catalog()
    facts = orjson.loads(data)
    edges = {(p, c): _sums(*sums) for p, c, *sums in facts["edges"]}
    return Catalog(facts["operations"], edges, all(len(edge) > 5 for edge in facts["edges"]))


def _sums(calls: int, errors: int, duration_ns: int, buckets: Sequence[int] = (), each: Sequence[int] = ()) -> EdgeSums:
    return EdgeSums(calls, errors, duration_ns, Counter(dict(zip(buckets, each, strict=True))))


def join_edges(all_edges: Iterable[Edges], taken: Iterable[Edges] = ()) -> dict[Edge, EdgeSums]:
    """Sums over several places, without those that are taken out again."""
    joined: dict[Edge, EdgeSums] = defaultdict(EdgeSums)
    for edges in all_edges:
        for edge, sums in edges.items():
            joined[edge].add(sums)
    for edges in taken:
        for edge, sums in edges.items():
            joined[edge].add(sums, -1)
    return joined


def join_operations(all_operations: Iterable[Operations]) -> Operations:
    """Operations of several places, kinds sorted."""
    joined: Operations = {}
    for operations in all_operations:
        for service, names in operations.items():
            into = joined.setdefault(service, {})
            for name, kinds in names.items():
                into[name] = sorted({*into.get(name, ()), *kinds})
    return joined
