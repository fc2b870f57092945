"""Samples of series where they lie: in decoded row groups and sorted runs, by address, so that nothing is copied.

In: spans of several sources. Out: pieces by series, in start..end, for kernels that read them in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from obs.model.labels import Labels
from obs.model.ports import Laid
from obs.tsdb.spans import Merged, Spans

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


def gathered(laid: Laid) -> Merged:
    """The rows of series one after the other, of equal times the last written."""
    from obs.tsdb.kernels_laid import gather

    t_ms, bits, counts = gather(laid.times, laid.values, laid.lengths, laid.first, laid.rows)
    return Merged(t_ms, bits.view(np.float64), counts)


def slots_of(ordinals: I64) -> I32:
    """Where each of some ordinals stands among them; of all others nothing that means anything."""
    slots = np.empty(int(ordinals.max(initial=-1)) + 1, np.int32)
    slots[ordinals] = np.arange(len(ordinals), dtype=np.int32)
    return slots


def lay(labels: Sequence[Labels], parts: Sequence[Spans], slots: I32, start_ms: int, end_ms: int) -> Laid:
    """The rows of spans in start..end (inclusive), earlier written first; slots: of each ordinal its series."""
    from obs.tsdb.kernels_laid import place, tally

    first = np.zeros(len(labels) + 1, np.int64)
    for part in parts:
        tally(part.ordinals, slots, first)
    np.cumsum(first, out=first)
    free, count = first[:-1].copy(), int(first[-1])
    times, values, lengths = (np.empty(count, np.int64) for _ in range(3))
    rows = 0
    for part in parts:
        columns = _address(part.t_ms), _address(part.values)
        rows += place(
            part.ordinals, part.starts, part.stops, *columns, slots, free, times, values, lengths, start_ms, end_ms
        )
    return Laid(labels, times, values, lengths, first, rows, parts)


def _address(column: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> int:
    """Where a column lies."""
    assert column.flags.c_contiguous
    return int(column.__array_interface__["data"][0])
