"""The metric store's kernels against their numpy twins and plain Python; every double survives a block."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given

from obs import warm
from obs.tsdb import decimals, idtable, laid, sorting, sources, spans
from obs.tsdb.compiled import KERNELS
from obs.tsdb.idtable import IdTable
from obs.tsdb.writing import SAMPLE_OPTIONS

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), 5e-324, 2.0**53, 2.0**53 - 1, 2.0**63, 1e300]
NANS = [0x7FF0000000000002, 0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001]


def double(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


values = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.sampled_from(NANS),
    st.one_of(
        st.sampled_from(SPECIAL),
        st.integers(-1000, 1000).map(float),
        st.integers(-(10**9), 10**9).map(lambda n: n / 100),
        st.floats(allow_nan=False),
    ).map(lambda v: struct.unpack("<Q", struct.pack("<d", v))[0]),
)
series_values = st.lists(st.lists(values, max_size=20), max_size=5)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    before = warm.ready(KERNELS)
    warm.load_now(KERNELS)
    yield
    if not before:
        warm._state.ready.discard(KERNELS)


def flat(series: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    bits = np.array([v for each in series for v in each], np.uint64)
    return bits.view(np.float64), np.cumsum([0, *map(len, series)])


@given(series_values)
@examples(300)
def test_scales(series: list[list[int]]) -> None:
    column, offsets = flat(series)
    fast, plain = decimals.scale(column, offsets), decimals.scale_plainly(column, offsets)
    assert fast.scales.tolist() == plain.scales.tolist()
    assert fast.mantissas.tolist() == plain.mantissas.tolist()
    assert (fast.inexact is None) == (plain.inexact is None)
    assert fast.inexact is None or np.array_equal(fast.inexact, plain.inexact)


@given(series_values)
@examples(300)
def test_every_double_comes_back(series: list[list[int]]) -> None:
    column, offsets = flat(series)
    scaled = decimals.scale(column, offsets)
    ints, doubles = decimals.to_columns(column, scaled)
    rows, counts = np.arange(len(column)), np.diff(offsets)
    scale = np.repeat(np.maximum(scaled.scales, 0).astype(np.int8), counts)
    table = pa.table({"ordinal": rows.astype(np.uint32), "t_ms": rows, "value_int": ints, "value_double": doubles,
                      "scale": scale})  # fmt: skip
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=7, **SAMPLE_OPTIONS)
    back = pq.read_table(io.BytesIO(file.getvalue()))
    powers = decimals.POWERS[back["scale"].to_numpy()]
    found = decimals.from_columns(back["value_int"], back["value_double"], powers)
    assert found.view(np.uint64).tolist() == column.view(np.uint64).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(st.integers(0, 9), INT64)), max_size=60))
@examples(300)
def test_sort_rows(rows: list[tuple[int, int]]) -> None:
    rank = np.array([r for r, _ in rows], np.int32)
    t_ms = np.array([t for _, t in rows], np.int64)
    expected = [i for _, i in sorted({key: i for i, key in enumerate(rows)}.items())]
    for sort in (sorting.sort_rows, sorting.sort_rows_plainly):
        order, counts = sort(rank, t_ms, 6)
        assert order.tolist() == expected
        assert counts.tolist() == [sum(rows[i][0] == r for i in expected) for r in range(6)]


span_times = st.sets(st.one_of(st.integers(0, 12), INT64), max_size=8).map(sorted)


@given(st.lists(st.tuples(st.integers(0, 3), span_times), min_size=1, max_size=8), st.integers(-2, 14), INT64)
@examples(300)
def test_merge(pieces: list[tuple[int, list[int]]], start: int, end: int) -> None:
    model: list[dict[int, float]] = [{} for _ in range(4)]
    number = 0.0
    for slot, times in pieces:
        for t in times:
            number += 1
            if start <= t <= end:
                model[slot][t] = number
    stops = np.cumsum([len(times) for _, times in pieces])
    joined = spans.Spans(
        np.array([slot for slot, _ in pieces]),
        stops - np.array([len(times) for _, times in pieces]),
        stops,
        np.array([t for _, times in pieces for t in times], np.int64),
        np.arange(1.0, number + 1),
    )
    halves = [
        spans.Spans(joined.ordinals[some], joined.starts[some], joined.stops[some], joined.t_ms, joined.values)
        for some in (slice(0, 3), slice(3, None))
    ]
    in_place = laid.gathered(laid.lay([()] * 4, halves, np.arange(4, dtype=np.int32), start, end))
    for merged in (in_place, spans.merge_plainly(joined, joined.ordinals, 4, start, end)):
        assert merged.counts.tolist() == [len(each) for each in model]
        assert merged.t_ms.tolist() == [t for each in model for t in sorted(each)]
        assert merged.values.tolist() == [each[t] for each in model for t in sorted(each)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=12), st.lists(st.integers(1, 7), max_size=9))
@examples(300)
def test_pieces_of_series_in_row_groups(series: list[tuple[int, int]], sizes: list[int]) -> None:
    group_starts = np.cumsum([0, *sizes])
    gaps, counts = (np.array([s[i] for s in series], np.int64) for i in (0, 1))
    stop = np.cumsum(gaps + counts)
    inside = stop <= group_starts[-1]
    first, stop = (stop - counts)[inside], stop[inside]
    for cut in (sources._pieces, sources.pieces_plainly):
        found = cut(group_starts, first, stop)
        rows = [set[int]() for _ in first]
        for g, (a, b) in zip(found.groups, pairwise(found.bounds), strict=True):
            parts = (each[a:b].tolist() for each in (found.whose, found.starts, found.stops))
            for i, low, high in zip(*parts, strict=True):
                assert 0 <= low < high <= sizes[g]
                rows[i] |= set(range(group_starts[g] + low, group_starts[g] + high))
        assert rows == [set(range(a, b)) for a, b in zip(first.tolist(), stop.tolist(), strict=True)]


@given(st.lists(st.sets(st.one_of(st.integers(0, 40), st.integers(0, (1 << 64) - 1)), max_size=40), max_size=5))
@examples(200)
def test_id_table(groups: list[set[int]]) -> None:
    table, model = IdTable(1), dict[int, int]()
    for group in groups:
        new = [i for i in group if i not in model]
        ordinals = np.arange(len(model), len(model) + len(new), dtype=np.int32)
        table.add(np.array(new, np.uint64), ordinals)
        model.update(zip(new, ordinals.tolist(), strict=True))
    asked = np.array([*model, *range(50), (1 << 64) - 1], np.uint64)
    expected = [model.get(i, -1) for i in asked.tolist()]
    assert table.lookup(asked).tolist() == expected
    picked = [(row, ordinal) for row, ordinal in enumerate(expected) if ordinal >= 0]
    told_by = idtable.bits(np.array([*model], np.uint64))
    assert list(zip(*(each.tolist() for each in table.pick(asked, told_by)), strict=True)) == picked
    warm._state.ready.discard(KERNELS)
    try:
        assert table.lookup(asked).tolist() == expected
        told_by = idtable.bits(np.array([*model], np.uint64))
        assert list(zip(*(each.tolist() for each in table.pick(asked, told_by)), strict=True)) == picked
    finally:
        warm._state.ready.add(KERNELS)


@given(st.lists(st.lists(st.integers(-20, 20), unique=True, max_size=9), max_size=6), st.integers(-25, 25), INT64)
@examples(200)
def test_take(series: list[list[int]], start: int, end: int) -> None:
    times = [sorted(each) for each in series]
    given_spans = part_of(times)
    expected = [[t for t in each if start <= t <= end] for each in times]
    for taken in (spans.take([given_spans], start, end), spans.take_plainly(given_spans, start, end)):
        rows = [taken.t_ms[a:b].tolist() for a, b in zip(taken.starts, taken.stops, strict=True)]
        assert rows == expected
        assert taken.values.tolist() == [t / 4 for each in expected for t in each]


@given(st.lists(st.lists(span_times, max_size=4), min_size=1, max_size=4), INT64, INT64)
@examples(200)
def test_take_of_several_parts(parts: list[list[list[int]]], start: int, end: int) -> None:
    taken = spans.take([part_of(part) for part in parts], start, end)
    rows = [taken.t_ms[a:b].tolist() for a, b in zip(taken.starts, taken.stops, strict=True)]
    assert rows == [[t for t in each if start <= t <= end] for part in parts for each in part]
    assert taken.values.tolist() == [t / 4 for each in rows for t in each]
    assert taken.ordinals.tolist() == [i for part in parts for i in range(len(part))]


def part_of(series: list[list[int]]) -> spans.Spans:
    t_ms = np.array([t for each in series for t in each], np.int64)
    stops = np.cumsum([len(each) for each in series], dtype=np.int64)
    starts = stops - np.array([len(each) for each in series], np.int64)
    return spans.Spans(np.arange(len(series)), starts, stops, t_ms, t_ms / 4)


@given(
    st.lists(st.tuples(INT64, st.integers(-9, 9)), min_size=1, max_size=3).map(lambda far: [t + d for t, d in far]),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=20), st.integers(0, 2), st.integers(-3, 45),
)  # fmt: skip
@examples(300)
def test_take_of_times_that_no_double_tells_apart(
    far: list[int], near: list[tuple[int, int]], place: int, at: int
) -> None:
    """As of clocks that count nanoseconds where milliseconds are meant."""
    some = {far[which % len(far)] + past for which, past in near} | set(far)
    times = np.array(sorted(t for t in some if -(1 << 63) <= t < 1 << 63), np.int64)
    part = spans.Spans(np.arange(1), np.zeros(1, np.int64), np.array([len(times)]), times, times / 4)
    start = min(max(far[place % len(far)] + at, -(1 << 63)), (1 << 63) - 1)
    for end in (min(start + 7, (1 << 63) - 1), (1 << 63) - 1):
        assert spans.take([part], start, end).t_ms.tolist() == [t for t in times.tolist() if start <= t <= end]


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.integers(1, 1 << 40), st.integers(-60, 60))
@examples(300)
def test_take_of_uneven_gaps(gaps: list[int], scale: int, at: int) -> None:
    times = np.unique(np.cumsum(np.array(gaps, np.int64)) * scale + np.arange(len(gaps)))
    part = spans.Spans(np.arange(1), np.zeros(1, np.int64), np.array([len(times)]), times, times / 4)
    assert spans.take([part], at * scale, at * scale + 40).t_ms.tolist() == [
        t for t in times.tolist() if at * scale <= t <= at * scale + 40
    ]
