"""Which partition a time falls in, and that no flush makes many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs.columnar.layout import TableLayout
from obs.columnar.partition import partition_keys, partition_label, split, time_range

DAY = 86_400_000_000_000
NOW_DAY = int(np.datetime64("2026-11-23", "D").astype(np.int64))
NOW = NOW_DAY * DAY + 5
LAYOUTS = (TableLayout("rows", "t"), TableLayout("marks", "t_ms", 1_000_000), TableLayout("names", None))


@pytest.mark.parametrize(
    ("day", "label"),
    [
        ("2026-11-24", "2026-11-24"),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-08", "2026-11-08"),
        ("2026-11-07", "2026"),
        ("2026-11-25", "2026"),
        ("2027-12-31", "2027"),
        ("2028-01-01", "after"),
        ("2262-04-11", "after"),
        ("2016-01-01", "2016"),
        ("2015-12-31", "before"),
        ("1970-01-01", "before"),
        ("1677-09-21", "before"),
    ],
)
def test_labels(day: str, label: str) -> None:
    days = np.array([np.datetime64(day, "D").astype(np.int64)])
    assert partition_label(int(partition_keys(days, NOW_DAY)[0])) == label


def tables(times: Sequence[int | None], marks: list[int], names: int) -> dict[str, pa.Table]:
    return {
        "rows": pa.table({"t": pa.array(times, pa.int64()), "n": range(len(times))}),
        "marks": pa.table({"t_ms": pa.array(marks, pa.int64())}),
        "names": pa.table({"name": [f"n{i}" for i in range(names)]}) if names else pa.table({}),
    }


def test_rows_keep_their_order_and_names_go_everywhere() -> None:
    parts = list(split(tables([NOW, NOW - DAY, NOW, NOW - DAY], [NOW // 1_000_000], 2), LAYOUTS, NOW))
    assert [p.partition for p in parts] == ["2026-11-22", "2026-11-23"]
    assert [p.tables["rows"]["n"].to_pylist() for p in parts] == [[1, 3], [0, 2]]
    assert [p.tables["marks"].num_rows for p in parts] == [0, 1]
    assert [p.tables["names"].num_rows for p in parts] == [2, 2]


near = st.integers(-20 * DAY, 5 * DAY).map(lambda past: NOW + past)
times = st.one_of(near, st.integers(-5000 * DAY, 900 * DAY).map(lambda past: NOW + past), st.none())
anytime = st.one_of(times, st.integers(-(1 << 63), (1 << 63) - 1))


@given(st.one_of(*(st.lists(each, min_size=1, max_size=9) for each in (near, times, anytime))), st.integers(1, 3))
@examples(300)
def test_each_row_goes_where_its_day_does(some: list[int | None], repeated: int) -> None:
    rows = [t for t in some for _ in range(repeated)]
    expected: dict[str, list[int]] = {}
    for row, t in enumerate(rows):
        day = np.array([(t or 0) // DAY])
        expected.setdefault(partition_label(int(partition_keys(day, NOW_DAY)[0])), []).append(row)
    parts = {p.partition: p.tables["rows"]["n"].to_pylist() for p in split(tables(rows, [], 0), LAYOUTS, NOW)}
    assert parts == expected


def test_random_times_make_few_partitions() -> None:
    rng = np.random.default_rng(5)
    times = rng.integers(-(1 << 63), (1 << 63) - 1, 20_000).tolist() + [NOW - i * DAY for i in range(4000)]
    parts = list(split(tables(times, [], 0), LAYOUTS, NOW))
    assert len(parts) <= 31
    assert sum(p.tables["rows"].num_rows for p in parts) == len(times)


@pytest.mark.parametrize("t_ms", [-(1 << 63), (1 << 63) - 1])
def test_milliseconds_past_64_bits_of_nanoseconds(t_ms: int) -> None:
    data = tables([], [t_ms], 0)
    assert len(list(split(data, LAYOUTS, NOW))) == 1
    assert time_range(data, LAYOUTS) == (t_ms * 1_000_000, t_ms * 1_000_000)


def test_rows_without_time_are_of_today() -> None:
    assert [p.partition for p in split(tables([], [], 3), LAYOUTS, NOW)] == ["2026-11-23"]
    assert list(split(tables([], [], 0), LAYOUTS, NOW)) == []


def test_a_range_over_all_tables() -> None:
    assert time_range(tables([5, -3], [1], 1), LAYOUTS) == (-3, 1_000_000)
    assert time_range(tables([], [], 1), LAYOUTS) is None
