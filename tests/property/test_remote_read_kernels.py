"""Chunks and samples by kernels are what plain Python writes, and read back as what was given."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_read_client import float_histogram, xor_samples

from obs import warm
from obs.remote_write import wire
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.remote_read import encoding, histograms, xor


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm.load_now(encoding.KERNELS)


steps = st.sampled_from([1, 999, 15_000, 15_001, 14_999, 30_000, 100_000, 1_000_000, 86_400_000, 1 << 40])
values = st.floats() | st.integers(-5, 5).map(float) | st.integers(0, 1 << 53).map(float)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    first = draw(st.integers(-(1 << 42), 1 << 42))
    gaps = draw(st.lists(steps, max_size=30))
    times = np.cumsum([first, *gaps]).tolist()
    return times, draw(st.lists(values, min_size=len(times), max_size=len(times)))


def bits(numbers: list[float]) -> list[int]:
    return [struct.unpack("<q", struct.pack("<d", v))[0] for v in numbers]


@given(st.lists(runs(), min_size=1, max_size=4))
def test_both_write_the_same_and_it_reads_back(given: list[tuple[list[int], list[float]]]) -> None:
    sizes = [len(times) for times, _ in given]
    stops = np.cumsum(sizes)
    t_ms = np.array([t for times, _ in given for t in times], np.int64)
    numbers = np.array([v for _, vs in given for v in vs], np.float64)
    fast = encoding.chunks(stops - sizes, stops, t_ms, numbers)
    assert fast == [xor.encode_chunk(times, bits(vs)) for times, vs in given]
    for chunk, (times, vs) in zip(fast, given, strict=True):
        found = list(xor_samples(chunk))
        assert ([t for t, _ in found], bits([v for _, v in found])) == (times, bits(vs))
    samples = encoding.samples(stops - sizes, stops, t_ms, numbers)
    assert samples == [xor.encode_samples(times, bits(vs)) for times, vs in given]
    for data, (times, vs) in zip(samples, given, strict=True):
        read = [dict(wire.fields(wire.raw(value))) for _, value in wire.fields(data)]
        assert [(wire.signed(f[2]), wire.integer(f[1])) for f in read] == [
            (t, b & (1 << 64) - 1) for t, b in zip(times, bits(vs), strict=True)
        ]


counts = st.dictionaries(st.integers(-40_000, 40_000), st.floats(0.5, 1e9), max_size=8)


@given(
    counts, counts, st.integers(-4, 8), st.sampled_from([0.0, 2.0**-128, 0.3, 2048.0]), st.integers(-(1 << 50), 1 << 50)
)
def test_histograms_read_back(
    positive: dict[int, float], negative: dict[int, float], schema: int, threshold: float, t_ms: int
) -> None:
    h = Histogram(schema, 7.5, -2.25, threshold, 1.0, positive, negative)
    assert float_histogram(histograms.chunk(t_ms, h)) == (t_ms, 7.5, -2.25, positive)


def test_custom_bounds_read_back() -> None:
    h = Histogram(-53, 3.0, 4.0, 0.0, 0.0, {0: 1.0, 2: 2.0}, {}, (0.1, 1.0, 2.5))
    assert float_histogram(histograms.chunk(99, h)) == (99, 3.0, 4.0, {0: 1.0, 2: 2.0})
