"""Which traces have spans in more than one place (blocks, head): those are put together before they are answered with.

A flag too many costs a look-up, a flag too few would be wrong: flags are only ever added while a block lives.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from obs.tracestore.ids import Words, mixed
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.summaries import TraceRows

Mask = npt.NDArray[np.bool_]


def shared(traces: TraceRows, keys: Words) -> Mask:
    """Which traces are among those with these sorted keys."""
    if not len(keys) or not len(traces):
        return np.zeros(len(traces), bool)
    own = mixed(traces.high, traces.low)
    at = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
    return keys[at] == own


def common(left: TraceRows, right: TraceRows) -> Words:
    """The keys both have, sorted."""
    small, large = sorted((left.keys, right.keys), key=len)
    if not len(small):
        return small
    at = np.minimum(np.searchsorted(large, small), len(large) - 1)
    return small[large[at] == small]


class SplitTraces:
    """Keys of split traces, pair by pair of blocks, remembered while both live."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[tuple[str, str], Words] = {}

    def keys(self, sources: Sequence[Source]) -> Words:
        """Sorted keys of all traces that stand in two or more of the sources."""
        fresh: list[Words] = []
        wanted: dict[tuple[str, str], Words] = {}
        with self._lock:
            for i, left in enumerate(sources):
                for right in sources[:i]:
                    if isinstance(left, MemorySource) or isinstance(right, MemorySource):
                        fresh.append(common(left.traces, right.traces))
                        continue
                    pair = (left.name, right.name)
                    found = self._pairs.get(pair)
                    wanted[pair] = common(left.traces, right.traces) if found is None else found
            self._pairs = wanted
        parts = [k for k in (*fresh, *wanted.values()) if len(k)]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
