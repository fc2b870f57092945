"""The JSON of matrices: numbers as Go writes them, points where they are present, histograms beside them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.tsdb.promql import encode
from obs.tsdb.promql.formatting import go_json
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.result import Result

MAGNITUDES = [sign * base * 10.0**e for e in range(-9, 24) for base in (1.0, 1.5, 9.999) for sign in (1, -1)]
SPECIAL = [0.0, -0.0, math.nan, math.inf, -math.inf, 2.0**53, -(2.0**53), 2.0**53 - 1, 5e-324, 1e21, 1e10, 123456.789]


@given(st.lists(st.one_of(st.floats(), st.integers(-(2**54), 2**54).map(float), st.sampled_from(MAGNITUDES + SPECIAL))))
def test_numbers_are_those_of_go(values: list[float]) -> None:
    assert encode.number_texts(np.array(values, np.float64)).to_pylist() == [go_json(v) for v in values]


number = st.one_of(st.floats(), st.integers(-(2**54), 2**54).map(float), st.sampled_from(MAGNITUDES + SPECIAL))
usual = st.one_of(st.floats(1e-4, 1e15), st.floats(-1e15, -1e-4), st.integers(-9, 9).map(float))


@given(st.one_of(st.lists(number, min_size=1, max_size=9), st.lists(usual, min_size=1, max_size=9)))
def test_points_are_those_of_go(values: list[float]) -> None:
    times = np.arange(len(values)) * 1000
    row = np.array([values], np.float64)
    body = encode.data(Result("matrix", [()], times, row, np.ones(row.shape, np.bool_)))
    points = ",".join(f'[{t},"{go_json(v)}"]' for t, v in enumerate(values))
    assert body == f'{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{points}]}}]}}'.encode()


@pytest.mark.parametrize("points", [3, 1 << 18])
def test_a_matrix_with_gaps_and_histograms(monkeypatch: pytest.MonkeyPatch, points: int) -> None:
    monkeypatch.setattr(encode, "POINTS", points)
    values = np.array([[1.0, 2.5, math.nan], [0, 0, 0], [7, 8, 9], [1e20, -0.0, 3]])
    present = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 1]], np.bool_)
    hists = np.full(values.shape, None, np.object_)
    hists[2, 1] = Histogram(schema=0, count=3.0, sum=9.0, positive={1: 3.0})
    labels = [(("a", f'é"{i}'),) for i in range(4)]
    times = np.array([1_500, 2_000, 3_000])
    body = json.loads(encode.data(Result("matrix", labels, times, values, present, hists)))
    found = [(row["metric"]["a"], row.get("values"), len(row.get("histograms", ()))) for row in body["result"]]
    assert found == [
        ('é"0', [[1.5, "1"], [2, "2.5"], [3, "NaN"]], 0),
        ('é"1', None, 0),
        ('é"2', None, 1),
        ('é"3', [[1.5, "100000000000000000000"], [3, "3"]], 0),
    ]
    assert body["result"][2]["histograms"][0][1]["count"] == "3"
    assert len(json.loads(encode.data(Result("matrix", labels, times, values, present), limit=2))["result"]) == 2
