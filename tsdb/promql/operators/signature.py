"""Which series belong together: labels → a group's ordinal, for matching and for aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obs.model.labels import Labels
from obs.tsdb.labelrows import LabelRows
from obs.tsdb.limits import KEPT_GROUPINGS
from obs.tsdb.promql.values import I64, METADATA, only, without


@dataclass(frozen=True, slots=True)
class Signature:
    """Which labels count: those of `names`, or all but those."""

    names: frozenset[str]
    keeps: bool

    def __call__(self, labels: Labels) -> Labels:
        """The labels that count."""
        if self.keeps:
            return only(labels, self.names) if self.names else ()
        return without(labels, self.names)


def by(names: Sequence[str]) -> Signature:
    """The labels of these names."""
    return Signature(frozenset(names), keeps=True)


def excluding(names: Sequence[str]) -> Signature:
    """All labels but these and the metric's name, type and unit."""
    return Signature(METADATA.union(names), keeps=False)


def ordinals(labels: Sequence[Labels], signature: Signature, known: dict[Labels, int]) -> I64:
    """Each series' ordinal; `known` grows by the signatures that are new."""
    if isinstance(labels, LabelRows):
        return _by_columns(labels, signature, known)
    return np.fromiter((known.setdefault(signature(ls), len(known)) for ls in labels), np.int64, len(labels))


def _by_columns(labels: LabelRows, signature: Signature, known: dict[Labels, int]) -> I64:
    """The same without looking at the labels of every series; worked out once for the same series."""
    found = labels.groupings.get(signature)
    if found is None:
        found = _grouped(labels, signature)
        if len(labels.groupings) >= KEPT_GROUPINGS:
            labels.groupings.clear()
        labels.groupings[signature] = found
    groups, group = found
    numbers = np.fromiter((known.setdefault(each, len(known)) for each in groups), np.int64, len(groups))
    return numbers[group]


def _grouped(labels: LabelRows, signature: Signature) -> tuple[list[Labels], I64]:
    """The groups in the order in which they appear, and each series' one; one series of each is looked at."""
    names = signature.names if signature.keeps else labels.names() - signature.names
    first, *more = map(labels.column, sorted(names)) if names else [np.zeros(len(labels), np.int64)]
    group = first
    for column in more:
        distinct, value = np.unique(column, return_inverse=True)
        group = np.unique(group, return_inverse=True)[1] * len(distinct) + value
    _, examples, group = np.unique(group, return_index=True, return_inverse=True)
    appeared = np.argsort(examples)
    rank = np.empty(len(appeared), np.int64)
    rank[appeared] = np.arange(len(appeared))
    return [signature(each) for each in labels.take(examples[appeared])], rank[group]


def by_group(group: I64, groups: int) -> tuple[I64, I64]:
    """Rows ordered by group, and bounds: group g has order[bounds[g]:bounds[g + 1]], in the rows' order."""
    order = np.argsort(group, kind="stable")
    bounds = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(group, minlength=groups), out=bounds[1:])
    return order, bounds
