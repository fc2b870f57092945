"""Which series have a label pair: pair → ordinals, over the flat pairs of all series.

Most series stand in a sorted base (one array of ordinals, one of starts); the newest are scanned, which takes a
millisecond for 100,000. The base grows when the index is told to settle, now and then, and never while someone asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tsdb.growing import ranges
from obs.tsdb.limits import SETTLED_SHARE, TAIL_SERIES

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U32 = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


FIRST_PAIRS = 64
"""Pairs of a label name that are looked at first: nearly always some series has one of them."""


@dataclass(frozen=True, slots=True)
class _Base:
    series: int  # ordinals below are here
    ordinals: U32  # sorted by pair
    starts: I64  # pair p owns ordinals[starts[p]:starts[p + 1]]


NO_BASE = _Base(0, np.empty(0, np.uint32), np.zeros(1, np.int64))


class Postings:
    """A cache over the index's own arrays; any thread may ask."""

    def __init__(self) -> None:
        self._base = NO_BASE

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self._base.ordinals.nbytes + self._base.starts.nbytes)

    def of(self, pairs: I64, flat: U32, offsets: I64) -> U32:
        """Ordinals that have any of `pairs`; each once where the pairs are of one name.

        Series i owns flat[offsets[i]:offsets[i + 1]].
        """
        base = self._current(offsets)
        known = pairs[pairs < len(base.starts) - 1]
        starts = base.starts[known]
        settled = base.ordinals[ranges(starts, base.starts[known + 1] - starts)]
        return np.concatenate([settled, self._owners(base.series, pairs, flat, offsets)])

    def seen(self, mask: Mask, pairs: I64, flat: U32, offsets: I64) -> Mask:
        """Which of `pairs` the series of a mask have: bool[len(pairs)]."""
        if is_few(mask):
            few = np.flatnonzero(mask)
            return _among(pairs, flat[ranges(offsets[few], offsets[few + 1] - offsets[few])])
        base = self._current(offsets)
        seen = self._settled(base, mask, pairs)
        unseen = np.flatnonzero(~seen)
        if len(unseen) and base.series < len(mask):
            seen[unseen] = _among(pairs[unseen], _newest(base, mask, flat, offsets))
        return seen

    def names_seen(self, mask: Mask, by_name: Sequence[Sequence[int]], names: I32, flat: U32, offsets: I64) -> Mask:
        """bool[name]: which label names series of a mask have; name n has pairs by_name[n], pair p is of names[p]."""
        base = self._current(offsets)
        newest = np.unique(names[_newest(base, mask, flat, offsets)])
        seen = np.zeros(len(by_name), np.bool_)
        seen[newest[newest < len(seen)]] = True
        for name in np.flatnonzero(~seen).tolist():
            first, rest = by_name[name][:FIRST_PAIRS], by_name[name][FIRST_PAIRS:]
            seen[name] = any(len(p) and self._settled(base, mask, np.array(p)).any() for p in (first, rest))
        return seen

    @staticmethod
    def _settled(base: _Base, mask: Mask, pairs: I64) -> Mask:
        """Which of some pairs the series of the base have."""
        seen = np.zeros(len(pairs), np.bool_)
        known = np.minimum(pairs, len(base.starts) - 2)
        counts = np.where(known == pairs, base.starts[known + 1] - base.starts[known], 0)
        used = np.flatnonzero(counts)
        seen[used] = mask[base.ordinals[base.starts[pairs[used]]]]  # its first series alone tells of nearly every pair
        rest = used[~seen[used]]
        hit = mask[base.ordinals[ranges(base.starts[pairs[rest]], counts[rest])]]
        seen[np.repeat(rest, counts[rest])[hit]] = True
        return seen

    def settle(self, flat: U32, offsets: I64) -> None:
        """Take the newest series into the base, where they are many: for whoever has time."""
        base = self._base
        if len(offsets) - 1 - base.series > max(TAIL_SERIES, base.series // SETTLED_SHARE):
            self._base = _grown(base, flat, offsets)

    @staticmethod
    def _owners(first: int, pairs: I64, flat: U32, offsets: I64) -> U32:
        tail = flat[offsets[first] :]
        hits = np.flatnonzero(tail == pairs[0] if len(pairs) == 1 else _table(pairs, tail)[tail])
        return (np.searchsorted(offsets, hits + offsets[first], "right") - 1).astype(np.uint32)

    def _current(self, offsets: I64) -> _Base:
        base = self._base
        return base if base.series < len(offsets) else NO_BASE  # it grew after these arrays were taken


def is_few(mask: Mask) -> bool:
    """Whether to look at the series of a mask one by one is less work than to look at pairs."""
    return 8 * int(np.count_nonzero(mask)) < len(mask)


def _among(pairs: I64, there: U32) -> Mask:
    """Which of `pairs` are there."""
    found = np.zeros(int(pairs.max(initial=-1)) + 1, np.bool_)
    found[there[there < len(found)]] = True
    return found[pairs]


def _newest(base: _Base, mask: Mask, flat: U32, offsets: I64) -> U32:
    """The pairs of the mask's series that are not in the base, one after the other."""
    tail: U32 = flat[offsets[base.series] :][np.repeat(mask[base.series :], np.diff(offsets[base.series :]))]
    return tail


def _table(pairs: I64, tail: U32) -> Mask:
    """bool[pair]: which are among some; for all that the tail has."""
    wanted = np.zeros(int(tail.max(initial=0)) + 1, np.bool_)
    wanted[pairs[pairs < len(wanted)]] = True
    return wanted


def _grown(base: _Base, flat: U32, offsets: I64) -> _Base:
    """A base and all newer series: only these are sorted, then both are laid side by side pair by pair."""
    tail, newest = flat[offsets[base.series] :], np.arange(base.series, len(offsets) - 1, dtype=np.uint32)
    owners = np.repeat(newest, np.diff(offsets[base.series :]))
    added = np.bincount(tail, minlength=len(base.starts) - 1)
    had = np.zeros(len(added), np.int64)
    had[: len(base.starts) - 1] = np.diff(base.starts)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(had + added)])
    ordinals = np.empty(starts[-1], np.uint32)
    ordinals[_runs(starts[:-1], had)] = base.ordinals
    ordinals[_runs(starts[:-1] + had, added)] = owners[np.argsort(tail, kind="stable")]
    return _Base(len(offsets) - 1, ordinals, starts)


def _runs(starts: I64, counts: I64) -> npt.NDArray[np.integer]:
    """As `ranges`, in 32 bits where they do: at a million series the arrays on the way are what memory peaks at."""
    total = int(counts.sum())
    dtype = np.int32 if total + int(starts[-1] if len(starts) else 0) < 1 << 31 else np.int64
    found = np.repeat((starts - (np.cumsum(counts) - counts)).astype(dtype), counts)
    found += np.arange(total, dtype=dtype)
    return found
