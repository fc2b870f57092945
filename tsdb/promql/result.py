"""What a query gives: kind, labels, times, a matrix with presence, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from obs.errors import QueryError
from obs.model.labels import Labels
from obs.tsdb.promql.plan import Edge, Kind
from obs.tsdb.promql.values import (
    F64,
    I64,
    Bool,
    Objects,
    Scalar,
    Text,
    Vector,
    Windows,
    any_step,
    merge_same,
    order_of,
    without_name,
)


@dataclass(frozen=True, slots=True)
class Result:
    """`kind` is vector, matrix, scalar or string; arrays are [series, time]; a scalar is one row without labels.

    A matrix of raw samples (an instant query of `x[5m]`) has the union of its series' times as columns.
    """

    kind: str
    labels: Sequence[Labels]
    times: I64
    values: F64
    present: Bool
    hists: Objects | None = None
    text: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    stats: Mapping[str, float] = field(default_factory=dict)


def named(vector: Vector) -> Vector:
    """Metric names that were to be dropped are dropped now. Raises: QueryError where series then collide."""
    if not bool(vector.drop_name.any()):
        return vector
    labels = [without_name(ls) if d else ls for ls, d in zip(vector.labels, vector.drop_name.tolist(), strict=True)]
    return merge_same(Vector(labels, vector.values, vector.present, np.zeros_like(vector.drop_name), vector.hists))


def of_vector(vector: Vector, times: I64, instant: bool) -> Result:
    """An instant vector at one time, or a matrix sorted by labels."""
    vector = merge_same(named(vector)).compact()
    if not instant:
        vector = vector.rows(order_of(vector.labels))
    kind = "vector" if instant else "matrix"
    return Result(kind, vector.labels, times, vector.values, vector.present, vector.hists)


def of_scalar(scalar: Scalar, times: I64, instant: bool) -> Result:
    """A scalar; over a range it is a matrix of one series without labels."""
    values = scalar.values[None, :]
    return Result("scalar" if instant else "matrix", [()], times, values, np.ones(values.shape, np.bool_))


def of_text(text: Text, times: I64) -> Result:
    """A string."""
    return Result("string", [], times, np.zeros((0, 1)), np.zeros((0, 1), np.bool_), text=text.value)


def of_windows(windows: Windows) -> Result:
    """The samples of a range vector at a single time."""
    if windows.edge is not Edge.NONE:
        from obs.tsdb.promql.functions.histogram_edges import framed

        if windows.hists is not None:
            raise QueryError(f"{windows.edge.value} modifier is not supported with histograms")
        windows = framed(windows)
    left, right = int(windows.ends[0]) - windows.range_ms, int(windows.ends[0])
    inside = (windows.t_ms > left - (windows.edge is not Edge.NONE)) & (windows.t_ms <= right)
    times = np.unique(windows.t_ms[inside])
    shape = (windows.series, len(times))
    values, present = np.zeros(shape), np.zeros(shape, np.bool_)
    hists = None if windows.hists is None else np.full(shape, None, np.object_)
    row_of = np.repeat(np.arange(windows.series), np.diff(windows.offsets))[inside]
    col_of = np.searchsorted(times, windows.t_ms[inside])
    values[row_of, col_of] = windows.values[inside]
    present[row_of, col_of] = True
    if hists is not None and windows.hists is not None:
        hists[row_of, col_of] = windows.hists[inside]
    some = any_step(present)
    vector = named(Vector(windows.labels, values, present, windows.drop_name, hists).rows(some))
    return Result("matrix", vector.labels, times, vector.values, vector.present, vector.hists)


def range_kind(kind: Kind) -> bool:
    """Whether an expression of this kind can be evaluated over a range."""
    return kind in (Kind.SCALAR, Kind.VECTOR)
