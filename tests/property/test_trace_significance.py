"""Tests of significance against their definitions, and buckets against what they hold."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.tracestore.analysis.significance import fisher, over_represented, q_values
from obs.tracestore.buckets import bucket_of, middle_ns, quantile_ns

COUNT = st.integers(0, 30)


@given(hit=COUNT, rest=COUNT, more=COUNT, others=COUNT)
def test_fisher_is_the_sum_of_the_tail(hit: int, rest: int, more: int, others: int) -> None:
    of_hits, of_rest, having = hit + more, rest + others, hit + rest
    tail = sum(comb(of_hits, i) * comb(of_rest, having - i) for i in range(hit, min(having, of_hits) + 1))
    exact = float(Fraction(tail, comb(of_hits + of_rest, having)))
    assert fisher(hit, of_hits, rest, of_rest) == pytest.approx(exact, rel=1e-9)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_values_tell_what_benjamini_and_hochberg_reject(p: list[float]) -> None:
    q = q_values(np.array(p))
    for rate in (0.01, 0.05, 0.2):
        ordered = sorted(p)
        last = max((i for i, v in enumerate(ordered, 1) if v * len(p) / i <= rate), default=0)
        assert sum(v <= rate for v in q.tolist()) == sum(v <= ordered[last - 1] for v in p) if last else all(q > rate)


def test_large_tables_go_by_the_normal_approximation() -> None:
    hit, rest = np.array([600, 500]), np.array([500, 500])
    p = over_represented(hit, 1000, rest, 1000)
    assert p[0] == pytest.approx(fisher(600, 1000, 500, 1000), rel=0.1)
    assert p[1] == pytest.approx(0.5, abs=0.02)


@given(duration=st.integers(1, 2**62))
def test_the_middle_of_a_bucket_is_near(duration: int) -> None:
    bucket = int(bucket_of(np.array([duration]))[0])
    assert middle_ns(bucket) == pytest.approx(duration, rel=1 / 62)
    assert quantile_ns({bucket: 3}, 0.5) == round(middle_ns(bucket))
