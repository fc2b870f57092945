"""Who called whom within each trace: parent positions, nested sets, depth, covered time; compiled if that is done."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.tracestore.dag_plain import trace_dag
from obs.tracestore.spancolumns import SpanColumns

Positions = npt.NDArray[np.int32]
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
    covered: npt.NDArray[np.int64]

    def arrays(self) -> list[pa.Array]:
        """The columns of DAG_SCHEMA."""
        return [pa.array(a) for a in (self.parent, self.left, self.right, self.depth, self.covered)]


def build(columns: SpanColumns, starts: npt.NDArray[np.int64]) -> Dag:
    """The DAG of sorted spans; `starts` from `trace_starts`. Linear in the number of spans, whatever their parents."""
    n = len(columns)
    parent, left, right, depth = (np.empty(n, np.int32) for _ in range(4))
    dag = Dag(parent, left, right, depth, np.empty(n, np.int64))
    c = columns
    if kernels_ready():
        compiled = sys.modules[KERNELS]
        compiled.build_dag(
            starts, c.span, c.parent, c.kind, c.start, c.end, _SALT,
            dag.parent, dag.left, dag.right, dag.depth, dag.covered,
        )  # fmt: skip
    else:
        _build_plain(c, starts, dag)
    return dag


def kernels_ready() -> bool:
    """Whether the kernels are compiled and loaded; see `obs.warm`."""
    return warm.ready(KERNELS)


def _build_plain(c: SpanColumns, starts: npt.NDArray[np.int64], dag: Dag) -> None:
    inputs = [array.tolist() for array in (c.span, c.parent, c.kind, c.start, c.end)]
    outputs: tuple[npt.NDArray[Any], ...] = (dag.parent, dag.left, dag.right, dag.depth, dag.covered)
    for first, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        found = trace_dag(*(values[first:end] for values in inputs))
        for array, values in zip(outputs, found, strict=True):
            array[first:end] = values
