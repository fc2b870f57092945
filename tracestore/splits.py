"""Which traces have spans in several places (blocks, runs of the head): they are put together before they are answered.

A flag too many costs a look-up, a flag too few would be wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from obs.tracestore.ids import Words, mixed
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.summaries import TraceRows

Mask = npt.NDArray[np.bool_]

NONE: Words = np.zeros(0, np.uint64)


def shared(traces: TraceRows, keys: Words) -> Mask:
    """Which traces are among those with these sorted keys. Not to be written to."""
    return traces.among(keys)


def among(own: Words, keys: Words) -> Mask:
    """Which of these stand among the sorted keys."""
    if not len(keys):
        return np.zeros(len(own), bool)
    found: Mask = keys[np.minimum(np.searchsorted(keys, own), len(keys) - 1)] == own
    return found


def common(left: TraceRows, right: TraceRows) -> Words:
    """The keys both have, sorted."""
    small, large = sorted((left.keys, right.keys), key=len)
    if not len(small):
        return small
    at = np.minimum(np.searchsorted(large, small), len(large) - 1)
    return small[large[at] == small]


class SplitTraces:
    """Keys of the traces that stand in two or more blocks, found anew when blocks come or go.

    Held are the keys alone, not which blocks share them: with many blocks that would be quadratic. Of a run of the head
    it is held what it shares with each block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._keys: Words = NONE
        self._of_runs: WeakKeyDictionary[MemorySource, dict[str, Words]] = WeakKeyDictionary()
        self._answered: Words = NONE

    def keys(self, sources: Sequence[Source]) -> Words:
        """Sorted keys of all traces that stand in two or more of the sources."""
        blocks = [source for source in sources if not isinstance(source, MemorySource)]
        runs = [source for source in sources if isinstance(source, MemorySource)]
        parts = [self.of_blocks(blocks), *(keys for run in runs for keys in self._beside(run, blocks))]
        if len(runs) > 1:
            parts.append(_repeated([run.traces.keys for run in runs]))
        return self._as_before(_union(parts))

    def _beside(self, run: MemorySource, blocks: Sequence[Source]) -> list[Words]:
        """What a run shares with each block."""
        with self._lock:
            known = self._of_runs.get(run, {})
        known = {b.name: common(run.traces, b.traces) if (keys := known.get(b.name)) is None else keys for b in blocks}
        with self._lock:
            self._of_runs[run] = known
        return list(known.values())

    def _as_before(self, keys: Words) -> Words:
        """The same object as the time before where the keys are the same: places remember what they know of it."""
        with self._lock:
            if not np.array_equal(keys, self._answered):
                self._answered = keys
            return self._answered

    def of_blocks(self, blocks: Sequence[Source]) -> Words:
        """Sorted keys of all traces that stand in two or more of the blocks."""
        names = frozenset(block.name for block in blocks)
        with self._lock:
            if names != self._names:
                traces = [block.traces for block in blocks]
                self._keys, self._names = _repeated([mixed(t.high, t.low) for t in traces]), names
            return self._keys


def _repeated(parts: Sequence[Words]) -> Words:
    """Keys that stand in two or more of the parts, each of which has a key once."""
    keys = np.sort(np.concatenate([NONE, *parts]))
    return np.unique(keys[:-1][keys[1:] == keys[:-1]])


def _union(parts: Sequence[Words]) -> Words:
    parts = [keys for keys in parts if len(keys)]
    if len(parts) < 2:
        return parts[0] if parts else NONE
    return np.unique(np.concatenate(parts))
