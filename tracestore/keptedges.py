"""The calls between services that a block counts under a condition, remembered: a map that is drawn anew asks the same.

In: a block, a condition and which of its traces are counted elsewhere. Out: its edges, while they are among those asked
for lately. As with `remembered`, a bound in time counts only where it leaves spans of the block out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tracestore import limits
from obs.tracestore.catalog import Edges
from obs.tracestore.matching import Condition
from obs.tracestore.remembered import Memory
from obs.tracestore.sources import Source

Mask = npt.NDArray[np.bool_]


class KeptEdges:
    """Edges by block and condition; safe to use from any thread."""

    def __init__(self, most_cells: int = limits.EDGE_CELLS_KEPT) -> None:
        self._most = most_cells
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, Edges] = OrderedDict()
        self._cells = 0

    def edges(self, source: Source, condition: Condition, split: Mask, count: Callable[[], Edges]) -> Edges:
        """What `count` finds of the traces where `split` does not hold; asked once while it is remembered."""
        memory = Memory.of(source, condition)
        if memory is None:
            return count()
        key = memory.path, memory.asked, blake2b(np.packbits(split).tobytes(), digest_size=16).digest()
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        found = count()
        with self._lock:
            if key not in self._kept:
                self._cells += _cells(found)
            self._kept[key] = found
            while self._cells > self._most:
                self._cells -= _cells(self._kept.popitem(last=False)[1])
        return found


def _cells(edges: Edges) -> int:
    """What edges take of the room; those of no edge take some too."""
    return limits.EDGES_ENTRY_CELLS + sum(4 + len(sums.buckets) for sums in edges.values())
