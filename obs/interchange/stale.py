"""Stale markers: the NaN that says that a series has ended, and the word for it where a format is ours.

Source: prometheus/model/value, "StaleNaN".
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

STALE_BITS = 0x7FF0000000000002
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
STALE_TEXT = "stale"

CANONICAL_NAN_BITS = (0x7FF8000000000000, 0x7FF8000000000001)
"""The NaN of Python and numpy, and that of Go: text that says NaN is read as such."""


def is_stale(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values are stale markers."""
    return values.view(np.uint64) == np.uint64(STALE_BITS)
