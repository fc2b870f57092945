"""Parquet: columns in the types that people have, rows that are no samples, and the layout of blocks."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from interchange_files import bits, imported
from metric_rows import held, mixed_batch

from obs.errors import UserError
from obs.interchange import encoding
from obs.interchange.faults import Faults
from obs.interchange.importing import pieces
from obs.interchange.pieces import LabelSets
from obs.interchange.sources import Source
from obs.model.labels import make_labels
from obs.model.stale import STALE
from obs.tsdb.promql.histogram import GAUGE, Histogram
from obs.tsdb.store import MetricStore

T = 1_395_066_363_000
MOMENT = datetime.fromtimestamp(T / 1000, UTC)
UP = make_labels({"__name__": "up", "job": "a"})
PAIRS = pa.map_(pa.string(), pa.string())

COLUMNS: list[dict[str, Any]] = [
    {"metric": ["up"], "job": ["a"], "time": pa.array([MOMENT], pa.timestamp("ns", "UTC")), "value": [1]},
    {"metric": ["up"], "job": ["a"], "time": [MOMENT], "value": pa.array([1.0], pa.float32())},
    {"metric": ["up"], "job": ["a"], "time": pa.array([T // 1000], pa.int32()), "value": [1.0]},
    {"metric": ["up"], "job": ["a"], "time": [T / 1000], "value": [1.0]},
    {"metric": ["up"], "job": ["a"], "time": ["2014-03-17T14:26:03Z"], "value": [1.0]},
    {"labels": pa.array([[("__name__", "up"), ("job", "a")]], PAIRS), "t_ms": [T], "value": [1.0]},
    {"labels": [{"__name__": "up", "job": "a", "none": None}], "t_ms": [T], "value": [1.0]},
    {"labels": ['{"job":"a"}'], "metric": pa.array(["up"]).dictionary_encode(), "t_ms": [T], "value": [1.0]},
]


@pytest.mark.parametrize("columns", COLUMNS)
def test_columns(tmp_path: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), tmp_path / "x")
    assert imported(tmp_path / "x") == ({(UP, T): bits(1.0)}, [], {})


def test_rows_that_are_no_samples(tmp_path: Path) -> None:
    table = pa.table(
        {
            "metric": ["up", "up", None, "up"],
            "job": ["a", "a", None, "a"],
            "time_ms": [1, None, 3, 4],
            "value": [1.0, 2.0, 3.0, None],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    found, faults, counts = imported(tmp_path / "x.parquet")
    assert found == {(UP, 1): bits(1.0)}
    assert sorted(fault.partition("x.parquet:")[2][0] for fault in faults) == ["2", "3", "4"]
    assert sum(counts.values()) == 3


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1 and then not", b""])
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(UserError, match="cannot read"):
        imported(tmp_path / "x.parquet")


def test_blocks_into_an_empty_store(tmp_path: Path) -> None:
    histogram = Histogram(3, 12.0, 5.5, 1e-9, 2.0, {-5: 1.0, -3: 2.5}, {2: 3.0, 3: 3.5}, (), GAUGE)
    custom = Histogram(-53, 3.0, 1.5, 0.0, 0.0, {0: 1.0, 1: 2.0}, {}, (0.5, 1.0))
    rows: list[Any] = [(UP, T + i, v) for i, v in enumerate((0.1, STALE, -0.0, histogram, 5e-324, custom, histogram))]
    first, second = MetricStore(tmp_path / "first"), MetricStore(tmp_path / "second")
    for store in (first, second):
        store.open()
    for few in (rows, [(UP, T, 9.0), (UP, T + 6, 13.0)]):  # the second stands where a histogram stood
        first.consume(mixed_batch(few))
        first.flush()
    source, faults = Source(str(tmp_path / "first" / "blocks")), Faults(print)
    for piece in pieces(source, None, LabelSets(), faults):
        second.consume(encoding.batch(piece))
    wanted, found = (held(store.select((), 0, 1 << 60)) for store in (first, second))
    assert len(wanted) == len(rows)
    assert found == wanted
    assert not faults.total
    for store in (first, second):
        store.close()


def test_blocks_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    store.consume(mixed_batch([(UP, T, 1.0)]))
    store.flush()
    store.close()
    (block,) = (tmp_path / "metrics" / "blocks").iterdir()
    for copy in ("quarantine/x", "tmp/x", "snapshots/1/metrics/blocks/x", "blocks/x"):
        shutil.copytree(block, tmp_path / "metrics" / copy)
    (tmp_path / "metrics" / "blocks" / "x" / "dropped").touch()
    source = Source(str(tmp_path))
    assert sum(map(len, pieces(source, None, LabelSets(), Faults(print)))) == 1


@pytest.mark.parametrize("made", ["chunks_head", "01M8NVBDB4DZDDBEH2JG7PE3S0/chunks", "chunks"])
def test_a_folder_of_prometheus(tmp_path: Path, made: str) -> None:
    (tmp_path / made).mkdir(parents=True)
    (tmp_path / made).with_name("index").touch()
    with pytest.raises(UserError, match=r"its blocks are Prometheus's; write them as text: promtool tsdb dump"):
        imported(tmp_path)


def test_a_folder_without_blocks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no block is in it"):
        imported(tmp_path)
