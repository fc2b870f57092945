"""Which series belong together: labels → a group's ordinal, for matching and for aggregation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from obs.model.labels import Labels
from obs.tsdb.promql.values import I64, METADATA, only, without

Signature = Callable[[Labels], Labels]


def by(names: Sequence[str]) -> Signature:
    """The labels of these names."""
    kept = frozenset(names)
    if not kept:
        return lambda labels: ()
    if len(kept) == 1:
        name = next(iter(kept))
        return lambda labels: next(((p,) for p in labels if p[0] == name), ())
    return lambda labels: only(labels, kept)


def excluding(names: Sequence[str]) -> Signature:
    """All labels but these and the metric's name, type and unit."""
    gone = METADATA.union(names)
    return lambda labels: without(labels, gone)


def ordinals(labels: Sequence[Labels], signature: Signature, known: dict[Labels, int]) -> I64:
    """Each series' ordinal; `known` grows by the signatures that are new."""
    return np.fromiter((known.setdefault(signature(ls), len(known)) for ls in labels), np.int64, len(labels))


def by_group(group: I64, groups: int) -> tuple[I64, I64]:
    """Rows ordered by group, and bounds: group g has order[bounds[g]:bounds[g + 1]], in the rows' order."""
    order = np.argsort(group, kind="stable")
    bounds = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(group, minlength=groups), out=bounds[1:])
    return order, bounds
