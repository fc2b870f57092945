"""Bounds of exponential buckets: bit for bit those of Prometheus."""

from __future__ import annotations

import math
import sys

import pytest

from obs.tsdb.promql.histogram import bound


@pytest.mark.parametrize(
    ("index", "schema", "upper"),
    [
        (0, 3, 1.0),
        (-58, 3, 0.006569503244169644),  # as Prometheus 3.16 answers; the nearest double is one place up
        (-59, 3, 0.0060242610367497685),
        (-81, 3, 0.0008955117609420616),
        (-66, 3, 0.003284751622084822),
        (-121, 3, 0.000027984742529439426),
        (1, 1, 1.414213562373095),
        (3, 0, 8.0),
        (2, -2, 256.0),
        (-1, -4, 2.0**-16),
        (1024, 0, sys.float_info.max),
        (64, -4, sys.float_info.max),
        (1024 << 8, 8, sys.float_info.max),
        ((1024 << 8) + 1, 8, math.inf),
        (1025, 0, math.inf),
        (-1075, 0, 0.0),
    ],
)
def test_the_upper_bound(index: int, schema: int, upper: float) -> None:
    assert bound(index, schema) == upper


@pytest.mark.parametrize("schema", range(1, 9))
def test_they_rise_and_lie_by_the_powers(schema: int) -> None:
    indices = range(-(1 << schema), (1 << schema) + 1)
    bounds = [bound(i, schema) for i in indices]
    assert bounds == sorted(set(bounds))
    assert bounds == pytest.approx([2.0 ** (i / (1 << schema)) for i in indices], rel=1e-14)
    assert bounds[0] == 0.5
    assert bounds[-1] == 2.0
