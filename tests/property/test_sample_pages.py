"""Our reader of sample pages against Arrow's: the same integers, or none at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obs import warm
from obs.columnar.options import EngineOptions
from obs.model.build import metrics_batch
from obs.model.labels import Matcher, MatchOp, make_labels
from obs.tsdb import groups, kernels_pages, pages, writing
from obs.tsdb.compiled import KERNELS
from obs.tsdb.store import MetricStore
from obs.tsdb.writing import SAMPLE_OPTIONS

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
steps = st.one_of(st.integers(-3, 3), st.integers(-(1 << 20), 1 << 20), INT64)
columns = st.lists(st.tuples(steps, st.integers(1, 90)), min_size=1, max_size=8)
"""Runs of one difference and of differences around it."""


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    before = warm.ready(KERNELS)
    warm.load_now(KERNELS)
    yield
    if not before:
        warm._state.ready.discard(KERNELS)


def numbers(runs: list[tuple[int, int]]) -> np.ndarray:
    noise = np.random.default_rng(len(runs))
    with np.errstate(over="ignore"):
        differences = [np.int64(step) + noise.integers(0, 1 + abs(step) % 1000, rows) for step, rows in runs]
        return np.cumsum(np.concatenate(differences))


def written(folder: Path, times: np.ndarray, ints: pa.Array, **options: object) -> Path:
    path = folder / "samples.parquet"
    rows = len(times)
    table = pa.table({"ordinal": np.zeros(rows, np.uint32), "t_ms": times, "value_int": ints,
                      "value_double": pa.nulls(rows, pa.float64()), "scale": np.zeros(rows, np.int8)})  # fmt: skip
    pq.write_table(table, path, **{**SAMPLE_OPTIONS, "compression": "zstd", **options})
    return path


def read(path: Path, group: int = 0, *rows: int) -> tuple[list[int], list[int]] | None:
    place = pages.place(pq.read_metadata(path), group)
    file = os.open(path, os.O_RDONLY)
    try:
        found = None if place is None else pages.read(file, place, *rows)
    finally:
        os.close(file)
    return None if found is None else (found[0].tolist(), found[1].tolist())


@given(columns, st.sampled_from([100, 1 << 20]))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_integers_come_back(tmp_path: Path, runs: list[tuple[int, int]], page_bytes: int) -> None:
    ints = numbers(runs)
    path = written(tmp_path, ints[::-1].copy(), pa.array(ints), data_page_size=page_bytes, row_group_size=200)
    for group, first in enumerate(range(0, len(ints), 200)):
        assert read(path, group) == (ints[::-1][first : first + 200].tolist(), ints[first : first + 200].tolist())


def test_many_pages(tmp_path: Path) -> None:
    ints = np.cumsum(np.random.default_rng(1).integers(-1000, 100_000, 65_536))
    path = written(tmp_path, ints, pa.array(ints))
    for first, stop in ((0, 65_536), (0, 1), (65_535, 65_536), (19_990, 20_010), (20_000, 40_000), (25_000, 60_001)):
        assert read(path, 0, first, stop) == (ints[first:stop].tolist(), ints[first:stop].tolist())


@pytest.mark.parametrize(
    ("ints", "options"),
    [
        (pa.array([1, None, 3]), {}),
        (pa.array([1, 2, 3]), {"compression": "snappy"}),
        (pa.array([1, 2, 3]), {"data_page_version": "2.0"}),
        (pa.array([1, 2, 3]), {"column_encoding": {"t_ms": "PLAIN", "value_int": "PLAIN"}}),
        (pa.array([1, 2, 3]), {"write_statistics": False}),
    ],
)
def test_what_is_otherwise_is_left_to_arrow(tmp_path: Path, ints: pa.Array, options: dict[str, object]) -> None:
    assert read(written(tmp_path, np.arange(3), ints, **options)) is None


def test_a_metric_of_a_block_that_nobody_read_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own rows are decoded, by their own scales, and not the row groups that it shares with others."""
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 64)
    per = [100, 1, 8]
    values = [[i * t / per[i % 3] for t in range(18)] for i in range(30)]
    fleet = [(make_labels({"__name__": f"m{i % 3}", "i": f"{i:02}"}), values[i]) for i in range(30)]
    options = EngineOptions(compact_interval_s=3600.0)
    store = MetricStore(tmp_path, options)
    store.open()
    for first in (0, 9):
        store.consume(metrics_batch([(ls, t * 1000, v[t]) for ls, v in fleet for t in range(first, first + 9)]))
        store.flush()
    store.close()
    monkeypatch.setattr(MetricStore, "_load", lambda self: (self._metadata_read.set(), self._labels_read.set()))
    monkeypatch.setattr(groups, "_by_arrow", None)
    store = MetricStore(tmp_path, options)
    store.open()
    for name in ("m1", "m2", "m0"):
        found = store.select([Matcher("__name__", MatchOp.EQ, name)], 0, 99_000)
        mine = [(labels, own) for labels, own in fleet if labels[0][1] == name]
        assert list(found.labels) == [labels for labels, _ in mine]
        assert found.values.tolist() == [value for _, own in mine for value in own]
    store.close()


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (128, 1 << 59), (128, (1 << 63) - 1), (128, (1 << 59) - 1), (128, (1 << 63) - 32), (1 << 62, 1 << 57),
        (1 << 63, 4), (128, 1 << 63), (128, 8), (0, 4), (128, 0), (100, 1), ((1 << 20) + 32, 1),
    ],
)  # fmt: skip
def test_a_page_that_tells_of_absurd_blocks_is_refused(block: int, parts: int) -> None:
    """None of these reads where no byte is, or divides by what overflowed to nothing."""
    page = np.zeros(512, np.uint8)
    head = np.frombuffer(varint(block) + varint(parts) + varint(50) + varint(2), np.uint8)
    page[: len(head)] = head
    assert kernels_pages.deltas(page, 0, 50, 0, np.zeros(50, np.int64)) == -1


@pytest.mark.parametrize("bounds", [(0, 40, 1 << 62), (0, -1, 40), (0, 40, 40), (0, 1 << 62, 1 << 63)])
def test_a_place_outside_of_the_file_is_refused(tmp_path: Path, bounds: tuple[int, int, int]) -> None:
    path = written(tmp_path, np.arange(300), pa.array(np.arange(300)))
    with path.open("rb") as file:
        assert pages.read(file.fileno(), pages.Place(4, bounds, 300)) is None
        assert pages.read(file.fileno(), pages.Place(-4, (0, 40, 80), 300)) is None


def test_a_footer_that_names_an_unknown_codec_is_survived(tmp_path: Path) -> None:
    """Arrow ends the process where it is asked what such a codec is called."""
    path = written(tmp_path, np.arange(300), pa.array(np.arange(300)))
    whole, zstd, unknown = path.read_bytes(), bytes([0x15, 6 << 1]), bytes([0x15, 35 << 1])
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    damaged = whole[:footer] + whole[footer:].replace(zstd, unknown)
    assert damaged != whole
    path.write_bytes(damaged)
    assert read(path) == (list(range(300)), list(range(300)))


def test_a_broken_page_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    """Whatever byte is another: other numbers, none, or an error that has the block's checksums looked at."""
    ints = np.cumsum(np.arange(1000))
    path = written(tmp_path, ints, pa.array(ints))
    whole = path.read_bytes()
    place = pages.place(pq.read_metadata(path), 0)
    assert place is not None
    refused = 0
    for at in range(place.start, place.start + place.bounds[-1]):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        file = os.open(path, os.O_RDONLY)
        try:
            refused += pages.read(file, place) is None
        except OSError:
            refused += 1
        finally:
            os.close(file)
    assert refused > 50
