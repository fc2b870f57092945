"""The engine whole, on a real folder: memory limits, views, snapshots, damage."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from value_engines import NOW, QUIET, keys_of, opened, put, until

from obs.columnar.engine import Engine
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.filenames import segment_path
from obs.columnar.layout import BlockWriter
from obs.columnar.options import EngineOptions
from obs.errors import ConfigError, Unavailable, UserError


def test_rows_go_from_head_to_block_and_stay(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        put(engine, 1, 2, value=1)
        put(engine, 2, 3, value=2)
        engine.flush()
        put(engine, 3, value=3)
        with engine.view() as view:
            assert read_values(view) == {(1, NOW): 1, (2, NOW): 2, (3, NOW): 3}
            assert (len(view.blocks), view.head_rows("values")) == (1, 1)
            block = view.blocks[0]
            assert (block.meta.rows, block.meta.extra["keys"], block.meta.min_ns) == (3, 3, NOW)
            assert block.read("names", columns=["name", "none such"]).to_pydict() == {
                "name": ["key 1", "key 2", "key 3"]
            }
            assert block.file("keys.txt").read_text() == "1\n2\n3"
            assert block.read_file("keys.txt") == b"1\n2\n3"
            assert block.path("none such") is None
        stats = engine.stats()
        assert (stats.items_head, stats.items_blocks, stats.blocks, stats.min_ns) == (1, 3, 1, NOW)
        assert list((tmp_path / "wal").iterdir()) == [segment_path(tmp_path, 2)]
    with opened(tmp_path) as engine:
        assert keys_of(engine) == [1, 2, 3]


def test_replayed_rows_come_before_new_ones(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        put(engine, 1, value=1)
    gate = threading.Event()

    class Slow(KeyValueLayout):
        def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
            gate.wait(20)

    engine = Engine(Slow(), tmp_path, QUIET)
    engine.open()
    put(engine, 1, value=2)
    put(engine, 2, value=2)
    assert keys_of(engine) == [1, 2]
    assert engine.stats().recovering is not None
    gate.set()
    assert engine.wait_recovered(20)
    with engine.view() as view:
        assert read_values(view) == {(1, NOW): 2, (2, NOW): 2}
    engine.flush()
    with engine.view() as view:
        assert read_values(view) == {(1, NOW): 2, (2, NOW): 2}
    assert engine.stats().recovering is None
    engine.close()


def test_an_append_is_refused_whole(tmp_path: Path) -> None:
    class Picky(KeyValueLayout):
        def on_append(self, generation: int, tables: Mapping[str, pa.RecordBatch]) -> Mapping[str, pa.RecordBatch]:
            if 13 in tables["values"]["key"].to_pylist():
                raise UserError("cannot store key 13")
            return super().on_append(generation, tables)

    with opened(tmp_path, layout=Picky()) as engine:
        put(engine, 1)
        with pytest.raises(UserError, match="13"):
            put(engine, 12, 13)
        with pytest.raises(ValueError, match="no such table"):
            engine.append({"values": values_batch([(5, NOW, 0)]), "none": values_batch([(5, NOW, 0)])})
        with pytest.raises(ValueError, match="column 't_ns'"):
            engine.append({"values": pa.record_batch({"key": pa.array([5])})})
        with pytest.raises(ValueError, match="column 'value' is string, not int64: "):
            engine.append({"values": pa.record_batch({"key": [5], "t_ns": [1], "value": ["text"]})})
        engine.append({"values": values_batch([])})
        assert keys_of(engine) == [1]
    with pytest.raises(Unavailable, match="closed"):
        put(engine, 2)
    engine.close()
    Engine(KeyValueLayout(), tmp_path).close()


def test_columns_keep_their_type(tmp_path: Path) -> None:
    words = pa.array(["a", "b", "a"])
    with opened(tmp_path) as engine:
        for word in (words.dictionary_encode(), words, words.cast(pa.large_string())):
            row = {"key": pa.array([1, 2, 3]), "t_ns": pa.array([NOW] * 3), "value": pa.array([0, 0, 0], pa.int32())}
            engine.append({"values": pa.record_batch({**row, "word": word})})
        with engine.view() as view:
            table = view.head("values")
        assert table.schema.field("word").type == pa.dictionary(pa.int32(), pa.string())
        assert table["word"].to_pylist() == ["a", "b", "a"] * 3


def test_one_engine_a_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(ConfigError, match=f"process {os.getpid()} has it open; stop that obs"):
        Engine(KeyValueLayout(), tmp_path).open()
    with opened(tmp_path):
        pass


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/obs")):
        with pytest.raises(ConfigError, match="cannot open data folder"):
            Engine(KeyValueLayout(), folder).open()


@pytest.mark.parametrize("wrong", [{"flush_rows": 0}, {"fsync": "never"}, {"memory_limit_bytes": 5}])
def test_options_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EngineOptions(**wrong)


def test_a_view_keeps_its_blocks(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        for i in range(4):
            put(engine, i)
            engine.flush()
        view = engine.view()
        seen = read_values(view)
        assert engine.compact() == 1
        assert len(list((tmp_path / "blocks").iterdir())) == 5
        assert read_values(view) == seen
        with opened_copy(tmp_path) as copy:
            assert keys_of(copy) == [0, 1, 2, 3]
            assert copy.stats().items_blocks == 4
        view.close()
        assert len(list((tmp_path / "blocks").iterdir())) == 1
        with pytest.raises(ValueError, match="view is closed"):
            view.blocks[0].read("values")


@contextmanager
def opened_copy(folder: Path) -> Iterator[Engine]:
    """What a crash would leave."""
    copy = folder.parent / f"{folder.name}-copy"
    shutil.copytree(folder, copy)
    with opened(copy) as engine:
        yield engine


def test_background_compaction_bounds_the_blocks(tmp_path: Path) -> None:
    with opened(tmp_path, EngineOptions(compact_interval_s=0.01)) as engine:
        for i in range(30):
            put(engine, i)
            engine.flush()
        until(lambda: engine.stats().blocks < 8)
        assert keys_of(engine) == list(range(30))
        assert engine.stats().items_blocks == 30


class MovedClock:
    """Time that the test moves."""

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns


def test_a_merge_does_not_overtake_what_was_written_between(tmp_path: Path) -> None:
    day = 86_400_000_000_000
    start = 20_000 * day  # 2024-10-04: the days around it are of one year
    clock = MovedClock(start)
    with opened(tmp_path, clock=clock) as engine:
        for value, days in enumerate((0, 5, 25, 25)):  # the row's time lies in its year, then in its day, in its year
            clock.ns = start + days * day
            keys = (1,) if value < 2 else (2,)
            put(engine, *keys, value=value, t_ns=start + 2 * day)
            engine.flush()
        with engine.view() as view:
            assert [b.meta.partition for b in view.blocks] == ["2024", "2024-10-06", "2024", "2024"]
        assert engine.compact() == 1
        with engine.view() as view:
            assert {key: value for (key, _), value in read_values(view).items()} == {1: 1, 2: 3}
            assert len(view.blocks) == 3


def test_retention_by_size(tmp_path: Path) -> None:
    options = EngineOptions(compact_interval_s=3600.0, retention_bytes=4000)
    with opened(tmp_path, options) as engine:
        for i in range(6):
            put(engine, i, t_ns=NOW + i)
            engine.flush()
        assert engine.retain() > 0
        kept = keys_of(engine)
        assert kept == list(range(6))[-len(kept) :]
        assert engine.stats().bytes_disk <= 4000 + 2000


def test_a_snapshot_is_a_folder_to_open(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as engine:
        put(engine, 1, 2)
        assert engine.snapshot(tmp_path / "copy") == 1
        put(engine, 3)
        with pytest.raises(UserError, match="it exists"):
            engine.snapshot(tmp_path / "copy")
    with opened(tmp_path / "copy") as engine:
        assert keys_of(engine) == [1, 2]


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "meta gone": lambda b: (b / "meta.json").unlink(),
    "meta garbage": lambda b: (b / "meta.json").write_bytes(b"{nonsense"),
    "file gone": lambda b: (b / "values.parquet").unlink(),
    "file shorter": lambda b: os.truncate(b / "values.parquet", 100),
    "bytes changed": lambda b: (b / "values.parquet").write_bytes(bytes((b / "values.parquet").stat().st_size)),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_blocks_go_to_quarantine(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path) as engine:
        put(engine, 1)
        engine.flush()
        put(engine, 2)
        engine.flush()
    victim = min((tmp_path / "blocks").iterdir(), key=lambda p: p.name.split(".")[1])
    DAMAGE[how](victim)
    with caplog.at_level(logging.ERROR), opened(tmp_path) as engine:
        assert keys_of(engine) == [2]
        assert engine.counters.quarantined == 1
        assert keys_of(engine) == [2]
        assert [p.name.startswith(victim.name) for p in (tmp_path / "quarantine").iterdir()] == [True]
        assert "is damaged" in caplog.text
        assert engine.stats().blocks == 1
    with opened(tmp_path) as engine:
        assert (keys_of(engine), engine.counters.quarantined) == ([2], 0)


def test_a_damaged_wal_rest_goes_to_quarantine(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        for key in range(3):
            put(engine, key)
    path = segment_path(tmp_path, 1)
    data = bytearray(path.read_bytes())
    data[data.index(b"oFrm", data.index(b"oFrm") + 1) + 50] ^= 0xFF
    path.write_bytes(data)
    for expected in (1, 0):
        with opened(tmp_path) as engine:
            assert keys_of(engine) == [0]
            assert engine.counters.quarantined == expected
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_appends_from_many_threads(tmp_path: Path) -> None:
    options = EngineOptions(flush_rows=50, compact_interval_s=0.01)
    with opened(tmp_path, options) as engine:
        threads = [
            threading.Thread(target=lambda n=n: [put(engine, n * 1000 + i, n * 1000 + i + 500) for i in range(100)])
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        seen = 0
        while any(t.is_alive() for t in threads):
            with engine.view() as view:
                keys = {key for key, _ in read_values(view)}
            assert len(keys) >= seen and all((k % 1000 < 500) == (k + 500 in keys) for k in keys if k % 1000 < 500)
            seen = len(keys)
        assert len(keys_of(engine)) == 1200
        assert engine.counters.appends == 600


def test_a_layout_that_fails_to_write_loses_nothing(tmp_path: Path) -> None:
    class Failing(KeyValueLayout):
        fails = 2

        def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
            facts = super().write_block(tables, out)
            self.fails -= 1
            if self.fails >= 0:
                raise RuntimeError("a bug")
            return facts

    with opened(tmp_path, layout=Failing()) as engine:
        put(engine, 1)
        with pytest.raises(Unavailable, match="a bug"):
            engine.flush()
        assert keys_of(engine) == [1]
        until(lambda: engine.stats().items_head == 0)
        assert keys_of(engine) == [1]
        assert engine.stats().items_blocks == 1
