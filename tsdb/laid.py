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

I64 = npt.NDArray[np.int64]


def gathered(laid: Laid) -> Merged:
    """The rows of series one after the other, of equal times the last written."""
    from obs.tsdb.kernels_laid import gather

    t_ms, bits, counts = gather(laid.times, laid.values, laid.lengths, laid.first, laid.rows)
    return Merged(t_ms, bits.view(np.float64), counts)


def lay(labels: Sequence[Labels], parts: Sequence[Spans], slots: I64, start_ms: int, end_ms: int) -> Laid:
    """The rows of spans in start..end (inclusive), earlier written first; slots[k] is the series of span k of all."""
    from obs.tsdb.kernels_laid import clip

    counts = [len(part.starts) for part in parts]
    starts = np.concatenate([part.starts for part in parts])
    lengths = np.concatenate([part.stops for part in parts]) - starts
    times = np.repeat([_address(part.t_ms) for part in parts], counts) + 8 * starts
    values = np.repeat([_address(part.values) for part in parts], counts) + 8 * starts
    if bool((slots[1:] < slots[:-1]).any()):
        order = np.argsort(slots, kind="stable")
        slots, times, values, lengths = slots[order], times[order], values[order], lengths[order]
    first = np.searchsorted(slots, np.arange(len(labels) + 1))
    return Laid(labels, times, values, lengths, first, clip(times, values, lengths, start_ms, end_ms), parts)


def _address(column: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> int:
    """Where a column lies."""
    assert column.flags.c_contiguous
    return int(column.__array_interface__["data"][0])
