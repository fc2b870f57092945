"""Counter reset hints of native histograms as they are selected: whether each goes on from the one before it.

Prometheus keeps them with its chunks; here they are worked out from neighbours. It says RESET only to expressions
that need no buckets (`histogram_count` and its like); to others a histogram that began anew is of unknown kind.
Such expressions get none: bounds that nobody asked for are not told to differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from obs.model.labels import Labels
from obs.model.ports import SeriesSet
from obs.tsdb.promql.histogram import GAUGE, NOT_RESET, RESET, UNKNOWN, Histogram
from obs.tsdb.promql.histogram_sums import detect_reset
from obs.tsdb.promql.plan import Binary, Call, Node, RangeSelector, Selector, Subquery

STATISTICS = frozenset(("histogram_count", "histogram_sum", "histogram_avg"))
WITH_BUCKETS = frozenset(
    ("histogram_quantile", "histogram_quantiles", "histogram_fraction", "histogram_stddev", "histogram_stdvar")
)

NEEDING = frozenset(("==", "!=", "</", ">/"))
"""Operators that look at buckets."""


def without_buckets(node: Node, needless: bool = False) -> frozenset[int]:
    """Positions of the selectors of whose histograms only counts and sums are asked."""
    if isinstance(node, RangeSelector):
        return without_buckets(node.selector, needless)
    if isinstance(node, Selector):
        return frozenset((node.pos,)) if needless else frozenset()
    if isinstance(node, Call) and node.name in STATISTICS | WITH_BUCKETS:
        needless = node.name in STATISTICS
    if isinstance(node, Subquery) or (isinstance(node, Binary) and node.op in NEEDING):
        needless = False
    return frozenset().union(*(without_buckets(child, needless) for child in node.children))


class Before:
    """The last histogram of each series before a selection, asked for when it is needed."""

    def __init__(self, select: Callable[[], SeriesSet]) -> None:
        self._select = select

    @cached_property
    def last(self) -> Mapping[Labels, Histogram | None]:
        """By labels; None where the last sample is a float."""
        found = self._select()
        if found.hists is None:
            return {}
        return {labels: found.hists[end - 1] for labels, end in zip(found.labels, found.offsets[1:], strict=True)}


def hinted(found: SeriesSet, before: Before, needless: bool) -> SeriesSet:
    """With the hint of each histogram, and without its buckets where these are `needless`."""
    if found.hists is None:
        return found
    hists = np.full(len(found.hists), None, np.object_)
    for i, labels in enumerate(found.labels):
        previous = before.last.get(labels)
        for row in range(int(found.offsets[i]), int(found.offsets[i + 1])):
            now = found.hists[row]
            if now is not None:
                hint = _hint(now, previous, needless)
                hists[row] = now.statistics(hint) if needless else now if hint == now.hint else now.with_hint(hint)
            previous = now
    return replace(found, hists=hists)


def _hint(now: Histogram, previous: Histogram | None, needless: bool) -> str:
    hint = now.hint
    if hint == GAUGE:
        return hint
    if previous is not None and previous.hint != GAUGE:
        hint = RESET if detect_reset(now.with_hint(UNKNOWN), previous) else NOT_RESET
    return UNKNOWN if hint == RESET and not needless else hint
