"""What is odd in one trace, by row: missing parents, broken cycles, ends before starts; and which ids are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tracestore.reading import Trace

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Oddities:
    """bool[rows] each, in the order of the trace's table."""

    orphan: Mask  # its parent is not stored
    cut: Mask  # its ancestors lead back to it: the tree is cut above it
    backwards: Mask  # it ends before it starts

    def said(self, row: int, parent_id: str) -> list[str] | None:
        """Sentences on one span, None where nothing is odd."""
        found = []
        if self.orphan[row]:
            found.append(f"its parent span {parent_id} is not stored; it stands at the top of the tree")
        if self.cut[row]:
            found.append("it is its own ancestor; the tree is cut above it")
        if self.backwards[row]:
            found.append("it ends before it starts; its duration counts as 0")
        return found or None


def oddities(trace: Trace) -> Oddities:
    """The masks of a trace."""
    c, up = trace.source.spans, trace.source.dag.parent
    without = (up < 0) & (c.parent != 0)
    known = np.isin(c.parent, c.span)
    return Oddities(without & ~known, without & known, c.end < c.start)


def missing_parents(trace: Trace) -> list[str]:
    """Ids of the parents that spans name and that are not stored, each once, sorted."""
    wanted = np.unique(trace.source.spans.parent[oddities(trace).orphan])
    return [f"{span:016x}" for span in wanted.tolist()]


def summary(trace: Trace) -> Iterator[str]:
    """What to know before believing the tree, counted over the whole trace."""
    c, up, odd = trace.source.spans, trace.source.dag.parent, oddities(trace)
    if trace.partial:
        yield trace.partial
    if orphans := int(odd.orphan.sum()):
        yield f"{orphans} spans name a parent that is not stored; they stand at the top of the tree"
    if cycles := int(odd.cut.sum()):
        yield f"{cycles} spans are their own ancestor; the tree is cut there"
    tops = int(((up < 0) & (c.parent == 0)).sum())
    if tops > 1:
        yield f"{tops} spans have no parent"
    if backwards := int(odd.backwards.sum()):
        yield f"{backwards} spans end before they start; their duration counts as 0"
