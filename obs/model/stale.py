"""Stale markers: the NaN that says that a series has ended.

Source: prometheus/model/value, "StaleNaN".
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

STALE_BITS = 0x7FF0000000000002
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def is_stale(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values are stale markers."""
    return values.view(np.uint64) == np.uint64(STALE_BITS)
