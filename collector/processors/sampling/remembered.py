"""Decisions that were made, for spans that come late: sorted runs of keys, the oldest forgotten first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obs.collector.processors.derived.columns import Words
from obs.collector.processors.derived.state import Floats, Ints
from obs.collector.processors.sampling.due import Mask

UNDECIDED, OUT, KEPT = -1, 0, 1

_RUNS = 8
"""The memory is forgotten in so many parts; a look-up searches these and a few small ones."""


@dataclass(frozen=True, slots=True)
class _Run:
    keys: Words
    kept: Mask
    weight: Floats


class Remembered:
    """Decisions of at most `most` traces, and a part more. Read by many threads, added to by one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: tuple[_Run, ...] = ()

    def __len__(self) -> int:
        """How many there are."""
        return sum(len(run.keys) for run in self._runs)

    def add(self, keys: Words, kept: Mask, weight: Floats) -> None:
        """Remember these."""
        order = np.argsort(keys)
        runs = [*self._runs, _Run(keys[order], kept[order], weight[order])]
        while len(runs) > 1 and self._merge(len(runs[-2].keys), len(runs[-1].keys)):
            newer, older = runs.pop(), runs.pop()
            runs.append(_merged(older, newer))
        while len(runs) > 1 and sum(len(run.keys) for run in runs[1:]) >= self._most:
            runs.pop(0)
        self._runs = tuple(runs)

    def _merge(self, older: int, newer: int) -> bool:
        return older <= 2 * newer and older + newer <= max(self._most // _RUNS, 1)

    def find(self, keys: Words) -> tuple[Ints, Floats]:
        """(UNDECIDED, OUT or KEPT; weight) of each key."""
        found, weight = np.full(len(keys), UNDECIDED, np.int64), np.ones(len(keys))
        for run in self._runs:
            at = np.minimum(np.searchsorted(run.keys, keys), len(run.keys) - 1)
            hit = run.keys[at] == keys
            found[hit] = run.kept[at[hit]]
            weight[hit] = run.weight[at[hit]]
        return found, weight


def _merged(older: _Run, newer: _Run) -> _Run:
    keys = np.concatenate([older.keys, newer.keys])
    order = np.argsort(keys, kind="stable")
    kept, weight = np.concatenate([older.kept, newer.kept]), np.concatenate([older.weight, newer.weight])
    last = np.ones(len(keys), np.bool_)  # of equal keys the newer one stands
    last[:-1] = keys[order][1:] != keys[order][:-1]
    order = order[last]
    return _Run(keys[order], kept[order], weight[order])
