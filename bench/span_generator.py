"""Spans of a shop, seeded, in batches of the canonical schema: as many as wanted at some millions a second.

Each trace is one of 64 trees of calls between fourteen services; times are log-normal, ids random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.batch import Batch, Signal
from obs.model.schema import DICT, SPANS

CALLS = {
    "frontend": ("cart", "checkout", "catalog", "recommendation", "ad"),
    "checkout": ("cart", "payment", "shipping", "email", "currency", "catalog"),
    "cart": ("valkey",), "catalog": ("postgres",), "recommendation": ("catalog",), "payment": ("bank-gateway",),
    "shipping": ("quote",), "ad": (), "email": (), "currency": (), "valkey": (), "postgres": (), "bank-gateway": (),
    "quote": (),
}  # fmt: skip
SERVICES = list(CALLS)
OPERATIONS = [f"{service}.v1/{verb}" for service in SERVICES for verb in ("Get", "List", "Put", "Check", "Plan")]
ROUTES = ["/", "/cart", "/checkout", "/product/{id}", "/api/recommendations", "/api/ads", "/login"]
TREES, INSTANCES, USERS = 64, 3, 20_000
BATCH_TRACES = 10_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """Services and parents (-1: the root) of a trace's spans, parents first."""

    service: Ints
    parent: Ints


def trees(chance: np.random.Generator) -> list[Tree]:
    """The shapes that traces have."""
    return [_tree(chance) for _ in range(TREES)]


def _tree(chance: np.random.Generator) -> Tree:
    services, parents, depths = ["frontend"], [-1], [0]
    for i, service in enumerate(services):
        for child in CALLS[service] if depths[i] < 5 else ():
            if chance.random() < (0.5 if i else 0.8):
                services.append(child)
                parents.append(i)
                depths.append(depths[i] + 1)
    return Tree(np.array([SERVICES.index(s) for s in services]), np.array(parents))


def batches(spans: int, seed: int, start_ns: int, hours: float) -> Iterator[Batch]:
    """At least so many spans, their traces spread over so many hours."""
    chance = np.random.default_rng(seed)
    shapes = trees(chance)
    made = 0
    mean = sum(len(t.service) for t in shapes) / len(shapes)
    step_ns = hours * 3600e9 / (spans / mean)
    traces = 0
    while made < spans:
        batch = _batch(chance, shapes, start_ns + int(traces * step_ns), step_ns)
        traces += BATCH_TRACES
        made += batch.num_rows
        yield Batch(Signal.TRACES, {"spans": batch})


def _batch(chance: np.random.Generator, shapes: list[Tree], start_ns: int, step_ns: float) -> pa.RecordBatch:
    kinds = chance.integers(0, len(shapes), BATCH_TRACES)
    sizes = np.array([len(t.service) for t in shapes])[kinds]
    first = np.cumsum(sizes) - sizes
    rows = int(sizes.sum())
    service = np.concatenate([shapes[k].service for k in kinds])
    parent = np.concatenate([shapes[k].parent for k in kinds])
    trace = np.repeat(np.arange(BATCH_TRACES), sizes)
    root = parent < 0
    up = np.where(root, 0, parent + np.repeat(first, sizes))
    begins, ends = _times(chance, shapes, kinds, first, rows)
    offset = start_ns + (trace * step_ns).astype(np.int64)
    return _columns(chance, trace, service, root, up, offset + begins, offset + ends)


def _times(chance: np.random.Generator, shapes: list[Tree], kinds: Ints, first: Ints, rows: int) -> tuple[Ints, Ints]:
    """Children one after the other within their parent, which is as long as they are and its own work."""
    own = chance.lognormal(15, 1, rows).astype(np.int64)
    begins, ends = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    for kind, tree in enumerate(shapes):
        base = first[kinds == kind]
        children = [np.flatnonzero(tree.parent == i).tolist() for i in range(len(tree.service))]

        def visit(i: int, at: Ints, base: Ints = base, children: list[list[int]] = children) -> Ints:
            begins[base + i] = at
            at = at + own[base + i] // 4
            for child in children[i]:
                at = visit(child, at)
            ends[base + i] = at + own[base + i]
            return ends[base + i]

        visit(0, np.zeros(len(base), np.int64))
    return begins, ends


def _columns(
    chance: np.random.Generator, trace: Ints, service: Ints, root: npt.NDArray[np.bool_], up: Ints,
    start: Ints, end: Ints,
) -> pa.RecordBatch:  # fmt: skip
    rows = len(trace)
    ids, traces = chance.bytes(8 * rows), np.frombuffer(chance.bytes(16 * BATCH_TRACES), "V16")[trace]
    span = np.frombuffer(ids, "V8")
    instance = service * INSTANCES + chance.integers(0, INSTANCES, rows)
    code = np.where(chance.random(rows) > 0.02, 200, chance.choice(np.array([404, 500, 503]), rows))
    user = chance.integers(0, USERS, rows)
    instances = [f"{s}-{i}" for s in SERVICES for i in range(INSTANCES)]
    valid = pa.py_buffer(np.packbits(~root, bitorder="little").tobytes())
    made: dict[str, Any] = {
        "trace_id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(traces.tobytes())]),
        "span_id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), rows, [None, pa.py_buffer(ids)]),
        "parent_span_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(8), rows, [valid, pa.py_buffer(span[up].tobytes())]),
        "name": _coded(service * 5 + chance.integers(0, 5, rows), OPERATIONS),
        "kind": pa.array(np.where(root, 2, 3).astype(np.uint8)),
        "start_ns": pa.array(start), "end_ns": pa.array(end),
        "status_code": pa.array(np.where(code >= 500, 2, 0).astype(np.uint8)),
    }  # fmt: skip
    fixed = [made.get(f.name, pa.nulls(rows, f.type)) for f in SPANS]
    more: dict[str, pa.Array] = {
        "resource.service.name:str": _coded(service, SERVICES),
        "resource.service.instance.id:str": _coded(instance, instances),
        "resource.host.name:str": _coded(instance % INSTANCES, [f"node-{i}" for i in range(INSTANCES)]),
        "resource.k8s.pod.name:str": _coded(instance, [f"pod-{name}" for name in instances]),
        "attr.http.route:str": _coded(chance.integers(0, len(ROUTES), rows), ROUTES).cast(pa.string()),
        "attr.http.response.status_code:int": pa.array(code.astype(np.int64)),
        "attr.thread.id:int": pa.array(chance.integers(0, 64, rows)),
        "attr.user.id:str": _coded(user, [f"u{i}" for i in range(USERS)]).cast(pa.string()),
    }
    fields = [*SPANS, *(pa.field(name, array.type) for name, array in more.items())]
    return pa.RecordBatch.from_arrays([*fixed, *more.values()], schema=pa.schema(fields))


def _coded(codes: Ints, values: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values, pa.string())).cast(DICT)
