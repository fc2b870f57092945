"""Who called whom in each trace, and where its time went: positions, nested sets, times; compiled if that is done."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.tracestore.dag_plain import trace_dag
from obs.tracestore.spancolumns import SpanColumns
from obs.tracestore.times_plain import trace_times

Positions = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
KERNELS = "obs.tracestore.kernels"
_SALT = np.uint64(secrets.randbits(64))
"""Hash tables differ from process to process: ids cannot be made to collide from outside."""


@dataclass(frozen=True, slots=True)
class Dag:
    """One entry a span; see `names.DAG_SCHEMA`."""

    parent: Positions
    left: Positions
    right: Positions
    depth: Positions
    covered: Times
    skew: Times
    off_path: Times

    def cut(self, rows: slice) -> Dag:
        """Of these rows."""
        return Dag(*(getattr(self, name)[rows] for name in self.__slots__))

    def arrays(self) -> list[pa.Array]:
        """The columns of DAG_SCHEMA."""
        return [pa.array(getattr(self, name)) for name in self.__slots__]


def build(columns: SpanColumns, starts: npt.NDArray[np.int64]) -> Dag:
    """The DAG of sorted spans; `starts` from `trace_starts`. n log n in the number of spans, whatever their parents."""
    c, n = columns, len(columns)
    parent, left, right, depth = (np.empty(n, np.int32) for _ in range(4))
    dag = Dag(parent, left, right, depth, np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64))
    if kernels_ready():
        compiled = sys.modules[KERNELS]
        compiled.build_dag(starts, c.span, c.parent, c.kind, _SALT, dag.parent, dag.left, dag.right, dag.depth)
        compiled.build_times(
            starts, dag.parent, dag.left, c.kind, c.clock, c.start, c.end, dag.covered, dag.skew, dag.off_path
        )
    else:
        _build_plain(c, starts, dag)
    return dag


def kernels_ready() -> bool:
    """Whether the kernels are compiled and loaded; see `obs.warm`."""
    return warm.ready(KERNELS)


def _build_plain(c: SpanColumns, starts: npt.NDArray[np.int64], dag: Dag) -> None:
    span, parent, kind, clock, start, end = (
        array.tolist() for array in (c.span, c.parent, c.kind, c.clock, c.start, c.end)
    )
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        rows = slice(first, last)
        tree = trace_dag(span[rows], parent[rows], kind[rows])
        times = trace_times(tree[0], tree[1], kind[rows], clock[rows], start[rows], end[rows])
        for name, values in zip(Dag.__slots__, (*tree, *times), strict=True):
            getattr(dag, name)[rows] = values
