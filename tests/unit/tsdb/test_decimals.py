"""Which scale a series gets, and which of its rows stay doubles."""

from __future__ import annotations

import numpy as np
import pytest

from obs.tsdb import decimals

NAN, INF = float("nan"), float("inf")
TABLE = [
    ("integers", [1.0, 2.0, -7.0], 0, []),
    ("two decimals", [1.25, 0.1, 100.0], 2, []),
    ("nanoseconds", [0.000000001] * 3, 9, []),
    ("too many digits", [1 / 3, 2 / 3], -1, [0, 1]),
    ("a stale end", [1.5, 2.5, NAN], 1, [2]),
    ("infinities", [INF, -INF, 3.0], 0, [0, 1]),
    ("negative zero", [-0.0, 1.0] + [0.0] * 62, 0, [0]),
    ("one misfit in 64", [1 / 3] + [1.0] * 63, 0, [0]),
    ("one misfit in 63", [1 / 3] + [1.0] * 62, -1, list(range(63))),
    ("past 2^53", [2.0**53, 2.0**60], -1, [0, 1]),
    ("up to 2^53", [2.0**53 - 1], 0, []),
    ("subnormal", [5e-324], -1, [0]),
    ("huge", [1e300], -1, [0]),
    ("nothing finite", [NAN, NAN], 0, [0, 1]),
]


@pytest.mark.parametrize(("values", "scale", "doubles"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_scale(values: list[float], scale: int, doubles: list[int]) -> None:
    scaled = decimals.scale_plainly(np.array(values), np.array([0, len(values)]))
    assert scaled.scales.tolist() == [scale]
    assert (np.flatnonzero(scaled.inexact).tolist() if scaled.inexact is not None else []) == doubles


def test_each_series_has_its_own_scale() -> None:
    scaled = decimals.scale_plainly(np.array([1.0, 2.0, 0.5, 1 / 3]), np.array([0, 2, 3, 3, 4]))
    assert scaled.scales.tolist() == [0, 1, 0, -1]
    assert scaled.mantissas.tolist() == [1, 2, 5, 0]
