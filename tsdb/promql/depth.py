"""How deep a query may nest: what reads, evaluates and prints it calls itself a level deeper for each level.

Python's own bound stands at 1,000 calls, too few for 500 operands of `or`; a level takes at most seven calls, and 1,000
levels of any kind were measured to fit a thread's stack of 1 MB (the usual one has 8).
"""

from __future__ import annotations

import sys

from obs.tsdb.promql.plan import Node

MAX_DEPTH = 600
"""Levels; a chain of operators is as many as it has operands."""

CALLS = 1_000 + 8 * MAX_DEPTH
"""What Python is to allow: what stands below a query, and its levels."""


def make_room() -> None:
    """Let Python call as deep as a query may nest."""
    if sys.getrecursionlimit() < CALLS:
        sys.setrecursionlimit(CALLS)


def too_deep(node: Node) -> Node | None:
    """The first part that is deeper than a query may nest."""
    level = [node]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in parent.children]
        if not level:
            return None
    return level[0]
