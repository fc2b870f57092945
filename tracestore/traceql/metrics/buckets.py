"""Buckets of exponential width: bucket b of n an octave holds 2 ** ((b - 1) / n) < value <= 2 ** (b / n).

Values of zero and less stand in a bucket of their own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NOTHING = -(2**15)
"""The bucket of what has no logarithm."""


def bucket_of(values: npt.NDArray[np.float64], per_octave: int) -> npt.NDArray[np.int64]:
    """int64[values]."""
    positive = values > 0
    logs = np.log2(np.where(positive, values, 1.0)) * per_octave
    nearest = np.round(logs)  # a power of two is not to fall into the next bucket by an ulp
    exact = np.where(np.abs(logs - nearest) < 1e-9, nearest, np.ceil(logs))
    return np.where(positive, np.clip(exact, NOTHING + 1, -NOTHING), NOTHING).astype(np.int64)


def upper_bound(bucket: int, per_octave: int) -> float:
    """The greatest value of a bucket."""
    return 0.0 if bucket == NOTHING else float(2.0 ** (bucket / per_octave))


def lower_bound(bucket: int, per_octave: int) -> float:
    """The value below its least."""
    return 0.0 if bucket == NOTHING else float(2.0 ** ((bucket - 1) / per_octave))
