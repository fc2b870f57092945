"""Native histograms added up: the same as one of all observations, at the resolution of the sum."""

from __future__ import annotations

import math
from collections import Counter
from functools import reduce

from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs.otlp.limits import MAX_DELTA_BUCKETS
from obs.otlp.native import Native


def bucket(value: float, schema: int) -> int:
    """The index of the bucket (2**((i-1) * 2**-schema), 2**(i * 2**-schema)] that a positive value is in."""
    index = math.floor(math.log2(value) * 2.0**schema)
    while 2.0 ** (index * 2.0**-schema) < value:
        index += 1
    return index


def histogram(values: list[float], schema: int, threshold: float = 0.0) -> Native:
    near = [v for v in values if abs(v) <= threshold]
    sides = (Counter(float(bucket(abs(v), schema)) for v in values if v * s > threshold) for s in (1, -1))
    positive, negative = ({int(i): float(n) for i, n in side.items()} for side in sides)
    return Native(schema, float(len(values)), math.fsum(values), threshold, float(len(near)), positive, negative)


sizes = st.integers(-30, 30).map(lambda power: 1.37 * 2.0**power)  # no bound of a bucket: those are rounded
observations = st.lists(st.one_of(st.just(0.0), sizes, sizes.map(lambda v: -v)), max_size=8)
parts = st.lists(st.tuples(observations, st.integers(-4, 8)), min_size=1, max_size=5)


@examples(100)
@given(parts)
def test_the_sum_is_the_histogram_of_all(given_parts: list[tuple[list[float], int]]) -> None:
    total = reduce(Native.plus, [histogram(values, schema) for values, schema in given_parts])
    everything = [v for values, _ in given_parts for v in values]
    whole = histogram(everything, total.schema)
    assert (total.count, total.zero_count, total.positive, total.negative) == (
        whole.count, whole.zero_count, whole.positive, whole.negative
    )  # fmt: skip
    assert math.isclose(total.sum, whole.sum, abs_tol=1e-3)
    if len(given_parts) > 1:
        assert max(len(total.columns()[6]), len(total.columns()[8])) <= MAX_DELTA_BUCKETS
        assert Native.of(total.columns()).plus(histogram([], 8)).columns() == total.columns()


@examples(100)
@given(st.lists(st.tuples(observations, st.integers(-4, 8), st.sampled_from([0.0, 1e-6, 0.1, 3.0])), min_size=2))
def test_nothing_is_lost_where_zero_buckets_differ(given_parts: list[tuple[list[float], int, float]]) -> None:
    histograms = [histogram(*part) for part in given_parts]
    total = reduce(Native.plus, histograms)
    counted = total.zero_count + sum(total.positive.values()) + sum(total.negative.values())
    assert counted == total.count == sum(h.count for h in histograms)
    widest = max(h.zero_threshold for h in histograms)
    assert total.zero_threshold >= widest
    if len({h.zero_threshold for h in histograms}) > 1:
        assert all(index > bucket(widest, total.schema) for index in (*total.positive, *total.negative))
