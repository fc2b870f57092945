"""Which series have a label pair: pair → ordinals, over the flat pairs of all series.

Most series stand in a sorted base (one array of ordinals, one of starts); the newest are scanned. The base is made
anew when the newest have become half of it, so adding a series costs nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tsdb.growing import ranges
from obs.tsdb.limits import TAIL_SERIES

I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Base:
    series: int  # ordinals below are here
    ordinals: U32  # sorted by pair
    starts: I64  # pair p owns ordinals[starts[p]:starts[p + 1]]


class Postings:
    """A cache over the index's own arrays; any thread may ask."""

    def __init__(self) -> None:
        self._base = _Base(0, np.empty(0, np.uint32), np.zeros(1, np.int64))

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self._base.ordinals.nbytes + self._base.starts.nbytes)

    def of(self, pairs: I64, flat: U32, offsets: I64) -> U32:
        """Ordinals that have any of `pairs`; each once where the pairs are of one name.

        Series i owns flat[offsets[i]:offsets[i + 1]].
        """
        base = self._current(flat, offsets)
        known = pairs[pairs < len(base.starts) - 1]
        starts = base.starts[known]
        settled = base.ordinals[ranges(starts, base.starts[known + 1] - starts)]
        return np.concatenate([settled, self._newest(base.series, pairs, flat, offsets)])

    def seen(self, mask: Mask, pairs: I64, flat: U32, offsets: I64) -> Mask:
        """Which of `pairs` the series of a mask have: bool[len(pairs)]."""
        if is_few(mask):
            few = np.flatnonzero(mask)
            return _among(pairs, flat[ranges(offsets[few], offsets[few + 1] - offsets[few])])
        base = self._current(flat, offsets)
        seen = np.zeros(len(pairs), np.bool_)
        known = np.minimum(pairs, len(base.starts) - 2)
        counts = np.where(known == pairs, base.starts[known + 1] - base.starts[known], 0)
        used = np.flatnonzero(counts)
        seen[used] = mask[base.ordinals[base.starts[pairs[used]]]]  # its first series alone tells of nearly every pair
        rest = used[~seen[used]]
        hit = mask[base.ordinals[ranges(base.starts[pairs[rest]], counts[rest])]]
        seen[np.repeat(rest, counts[rest])[hit]] = True
        unseen = np.flatnonzero(~seen)
        if len(unseen) and base.series < len(mask):
            newest = np.repeat(mask[base.series :], np.diff(offsets[base.series :]))
            seen[unseen] = _among(pairs[unseen], flat[offsets[base.series] :][newest])
        return seen

    def settle(self, flat: U32, offsets: I64) -> None:
        """Take the newest series into the base, where they are many: for a quiet moment."""
        if len(offsets) - 1 - self._base.series > TAIL_SERIES:
            self._base = _build(flat, offsets)

    @staticmethod
    def _newest(first: int, pairs: I64, flat: U32, offsets: I64) -> U32:
        tail = flat[offsets[first] :]
        hits = np.flatnonzero(tail == pairs[0] if len(pairs) == 1 else np.isin(tail, pairs))
        return (np.searchsorted(offsets, hits + offsets[first], "right") - 1).astype(np.uint32)

    def _current(self, flat: U32, offsets: I64) -> _Base:
        base, series = self._base, len(offsets) - 1
        if series - base.series > max(TAIL_SERIES, base.series // 2):
            base = self._base = _build(flat, offsets)
        return base if base.series <= series else _build(flat, offsets)


def is_few(mask: Mask) -> bool:
    """Whether to look at the series of a mask one by one is less work than to look at pairs."""
    return 8 * int(np.count_nonzero(mask)) < len(mask)


def _among(pairs: I64, there: U32) -> Mask:
    """Which of `pairs` are there."""
    found = np.zeros(int(pairs.max(initial=-1)) + 1, np.bool_)
    found[there[there < len(found)]] = True
    return found[pairs]


def _build(flat: U32, offsets: I64) -> _Base:
    owners = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint32), np.diff(offsets))
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(flat))])
    return _Base(len(offsets) - 1, owners[order], starts)
