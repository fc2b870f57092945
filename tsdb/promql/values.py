"""What expressions evaluate to, at all steps at once: vectors as matrices with presence, windows, scalars.

A NaN is a value; absence is `present` False. A native histogram stands in `hists` beside the floats, cell by cell.
Arrays are never changed once they are in a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.errors import QueryError
from obs.model.labels import METRIC_NAME, Labels
from obs.tsdb.labelrows import LabelRows
from obs.tsdb.promql.plan import Edge

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

SAME_LABELSET = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Steps:
    """The evaluation times start, start + step … ≤ end; a single one where start = end."""

    start_ms: int
    end_ms: int
    step_ms: int

    @property
    def times(self) -> I64:
        """int64[step]."""
        return np.arange(self.start_ms, self.end_ms + 1, max(self.step_ms, 1), dtype=np.int64)

    @property
    def count(self) -> int:
        """How many."""
        return max(0, (self.end_ms - self.start_ms) // max(self.step_ms, 1) + 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number per step."""

    values: F64  # float64[step]


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector at every step. `drop_name`: the metric name goes when the result is given out."""

    labels: Sequence[Labels]
    values: F64  # float64[series, step]
    present: Bool  # bool[series, step]
    drop_name: Bool  # bool[series]
    hists: Objects | None = None  # object[series, step]: a Histogram or None; None: floats only

    @property
    def floats(self) -> Bool:
        """Where there is a float sample."""
        return self.present if self.hists is None else self.present & ~is_hist(self.hists)

    @property
    def histograms(self) -> Bool:
        """Where there is a histogram sample."""
        if self.hists is None:
            return np.zeros_like(self.present)
        return self.present & is_hist(self.hists)

    def rows(self, index: npt.NDArray[Any]) -> Vector:
        """The series at these positions (or under this mask), in this order."""
        at = np.flatnonzero(index) if index.dtype == np.bool_ else index
        hists = None if self.hists is None else self.hists[at]
        return Vector(labels_at(self.labels, at), self.values[at], self.present[at], self.drop_name[at], hists)

    def only_floats(self) -> Vector:
        """The same without histogram samples."""
        return self if self.hists is None else replace(self, present=self.floats, hists=None)

    def compact(self) -> Vector:
        """The same without series that have no sample at any step."""
        some = any_step(self.present)
        return self if bool(some.all()) else self.rows(some)


def any_step(present: Bool) -> Bool:
    """bool[series]: which series have a sample at some step."""
    return np.asarray(present.any(axis=1), np.bool_)


def empty_vector(steps: int) -> Vector:
    """No series."""
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_), np.zeros(0, np.bool_))


def stack(parts: Sequence[Vector], steps: int) -> Vector:
    """The series of all parts, one below the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return empty_vector(steps)
    hists = None
    if any(p.hists is not None for p in parts):
        hists = np.concatenate([no_hists(p) if p.hists is None else p.hists for p in parts])
    return Vector(
        labels_of([p.labels for p in parts]),
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.present for p in parts]),
        np.concatenate([p.drop_name for p in parts]),
        hists,
    )


def labels_at(labels: Sequence[Labels], at: npt.NDArray[Any]) -> Sequence[Labels]:
    """Those at some positions."""
    return labels.take(at) if isinstance(labels, LabelRows) else [labels[i] for i in at.tolist()]


def order_of(labels: Sequence[Labels]) -> I64:
    """Positions in the order of labels."""
    if isinstance(labels, LabelRows):
        return labels.order()
    return np.array(sorted(range(len(labels)), key=labels.__getitem__), np.int64)


def labels_of(parts: Sequence[Sequence[Labels]]) -> Sequence[Labels]:
    """Labels below each other; columns, of one index, where all are."""
    rows = [part for part in parts if isinstance(part, LabelRows)]
    return LabelRows.joined(rows) if len(rows) == len(parts) else [ls for part in parts for ls in part]


def metric_names(labels: Sequence[Labels]) -> Set[str]:
    """The metric names of series, "" where one has none."""
    return labels.metrics() if isinstance(labels, LabelRows) else {metric_name(ls) for ls in labels}


def is_hist(hists: Objects) -> Bool:
    """Where an object array holds a histogram rather than None."""
    found: Bool = np.not_equal(hists, None)  # type: ignore[call-overload]
    return found.astype(np.bool_)


def no_hists(vector: Vector) -> Objects:
    """An empty histogram column for a vector of floats."""
    return np.full(vector.values.shape, None, np.object_)


def merge_same(vector: Vector, cause: str = SAME_LABELSET) -> Vector:
    """Series of equal labels become one where they never meet at a step. Raises: QueryError where they do."""
    first: dict[Labels, int] = {}
    for labels in vector.labels:
        first.setdefault(labels, len(first))
    if len(first) == len(vector.labels):
        return vector
    to = np.array([first[labels] for labels in vector.labels], np.int64)
    shape = (len(first), vector.values.shape[1])
    values, present, drop = np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(len(first), np.bool_)
    hists = None if vector.hists is None else np.full(shape, None, np.object_)
    for row, target in enumerate(to.tolist()):
        mask = vector.present[row]
        if bool((present[target] & mask).any()):
            raise QueryError(cause)
        values[target][mask] = vector.values[row][mask]
        present[target] |= mask
        drop[target] |= vector.drop_name[row]
        if hists is not None and vector.hists is not None:
            hists[target][mask] = vector.hists[row][mask]
    return Vector(list(first), values, present, drop, hists)


def merge_over_steps(vector: Vector) -> Vector:
    """As `merge_same`, but of a single step alone nothing is asked: equal labels hurt only where they are shown."""
    return vector if vector.values.shape[1] == 1 else merge_same(vector)


@dataclass(frozen=True, slots=True)
class Windows:
    """A range vector: samples of series, and the window (end - range, end] of each step. Stale markers are gone.

    `ends` has one entry where an `@` fixes the time; results are then the same at all `width` steps.
    """

    labels: Sequence[Labels]
    offsets: I64
    t_ms: I64
    values: F64
    ends: I64
    range_ms: int
    width: int
    drop_name: Bool
    hists: Objects | None = None  # object[sample]: a Histogram or None
    edge: Edge = Edge.NONE
    lookback_ms: int = 0  # how far past the window's edges an anchored or smoothed selector looks

    @property
    def series(self) -> int:
        """How many series."""
        return len(self.labels)

    def slice(self, lo: int, hi: int) -> Windows:
        """Series lo:hi, over the same sample arrays."""
        return replace(
            self, labels=self.labels[lo:hi], offsets=self.offsets[lo : hi + 1], drop_name=self.drop_name[lo:hi]
        )

    def only_floats(self) -> Windows:
        """The same without histogram samples."""
        if self.hists is None:
            return self
        keep = ~is_hist(self.hists)
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])
        t_ms, values = self.t_ms[keep], self.values[keep]
        return replace(self, offsets=before[self.offsets], t_ms=t_ms, values=values, hists=None)

    def widen(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A result per window as a result per step."""
        return array if array.shape[1] == self.width else np.repeat(array, self.width, axis=1)


Value = Vector | Windows | Scalar | Text


def metric_name(labels: Labels) -> str:
    """The metric's name, or ""."""
    return next((v for k, v in labels if k == METRIC_NAME), "")


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """Labels less those of these names."""
    gone = names if isinstance(names, set | frozenset) else frozenset(names)
    return tuple(p for p in labels if p[0] not in gone)


def only(labels: Labels, names: frozenset[str] | set[str]) -> Labels:
    """The labels of these names."""
    return tuple(p for p in labels if p[0] in names)


METADATA = frozenset((METRIC_NAME, "__type__", "__unit__"))
"""Labels that say what a metric is: they come and go together."""


def without_name(labels: Labels) -> Labels:
    """Labels less the metric's name, type and unit."""
    return without(labels, METADATA)
