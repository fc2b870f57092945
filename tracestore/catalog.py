"""Services with their operations, and the calls between services, of one block: small, precomputed, as JSON.

In: sorted `SpanColumns` with their DAG. Out: `Catalog`, its bytes, and catalogs put together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from obs.tracestore import limits
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

    def add(self, other: EdgeSums) -> None:
        """Count what `other` counted."""
        self.calls += other.calls
        self.errors += other.errors
        self.duration_ns += other.duration_ns


Edges = Mapping[Edge, EdgeSums]


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is in a block, or in many."""

    operations: Operations = field(default_factory=dict)
    edges: Edges = field(default_factory=dict)


def count_edges(c: SpanColumns, parents: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_] | None = None) -> Edges:
    """Calls from one service to another: spans (`chosen` of them) whose parent's service is another one."""
    known = parents >= 0 if chosen is None else (parents >= 0) & chosen
    child = np.flatnonzero(known)
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
    pairs, place = np.unique((above + 1).astype(np.int64) * width + below + 1, return_inverse=True)
    calls = np.bincount(place)
    errors = np.bincount(place, weights=status == ERROR)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, place, duration)
    found: dict[Edge, EdgeSums] = defaultdict(EdgeSums)
    for i, pair in enumerate(pairs.tolist()):
        edge = _name(pair // width - 1, above_names), _name(pair % width - 1, below_names)
        found[edge].add(EdgeSums(int(calls[i]), int(errors[i]), int(total[i])))
    return found


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
    edges = [[*edge, s.calls, s.errors, s.duration_ns] for edge, s in catalog.edges.items()]
    return orjson.dumps({"operations": catalog.operations, "edges": edges})


def decode(data: bytes) -> Catalog:
    """The way back; an empty catalog where `data` is empty (a damaged block)."""
    if not data:
        return Catalog()
    facts = orjson.loads(data)
    return Catalog(facts["operations"], {(p, c): EdgeSums(*sums) for p, c, *sums in facts["edges"]})


def join_edges(all_edges: Iterable[Edges]) -> dict[Edge, EdgeSums]:
    """Sums over several places."""
    joined: dict[Edge, EdgeSums] = defaultdict(EdgeSums)
    for edges in all_edges:
        for edge, sums in edges.items():
            joined[edge].add(sums)
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
