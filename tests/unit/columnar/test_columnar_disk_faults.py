"""Disks that are full, that cannot sync or cannot be written: what was acknowledged stays, what was not is refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from value_engines import NOW, keys_of, opened, put, until

from obs.columnar.engine import Engine
from obs.columnar.example import values_batch
from obs.columnar.filenames import segment_path
from obs.columnar.options import EngineOptions
from obs.columnar.storage import Commit, LocalStorage
from obs.errors import Overloaded, StorageFull


class FullDisk(LocalStorage):
    """Commits fail while `full`."""

    full = True

    def commit(self, staging: Path, covers: Sequence[int]) -> Commit:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().commit(staging, covers)


def test_a_full_disk_keeps_rows_and_recovers(tmp_path: Path) -> None:
    storage = FullDisk(tmp_path)
    options = EngineOptions(flush_rows=10, flush_bytes=1000, memory_limit_bytes=4000, compact_interval_s=3600.0)
    with opened(tmp_path, options, storage=storage) as engine:
        put(engine, 0)
        with pytest.raises(StorageFull, match="No space left"):
            engine.flush()
        taken = [0]
        with pytest.raises(Overloaded, match="wait to be flushed") as refused:
            for i in range(1, 1000):
                put(engine, i)
                taken.append(i)
        assert refused.value.retry_after_s > 0
        assert keys_of(engine) == taken
        storage.full = False
        until(lambda: engine.stats().items_head <= 10)
        put(engine, 5000)
        assert keys_of(engine) == [*taken, 5000]
        assert engine.counters.flush_failures > 0
        assert not list((tmp_path / "tmp").iterdir())
    with opened(tmp_path, options) as engine:
        assert keys_of(engine) == [*taken, 5000]


class Unsynced(LocalStorage):
    """What is committed cannot be synced."""

    def commit(self, staging: Path, covers: Sequence[int]) -> Commit:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("obs.columnar.storage.sync_folder", self._sync)
            return super().commit(staging, covers)

    def _sync(self, folder: Path) -> None:
        if folder.name == "ready":
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_commit_that_cannot_be_synced_is_none(tmp_path: Path) -> None:
    with opened(tmp_path, storage=Unsynced(tmp_path)) as engine:
        put(engine, 1)
        with pytest.raises(StorageFull, match="cannot flush .*Input/output error"):
            engine.flush()
        assert keys_of(engine) == [1]
        assert [list((tmp_path / name).iterdir()) for name in ("ready", "blocks")] == [[], []]
        assert segment_path(tmp_path, 1).exists()
    with opened(tmp_path) as engine:
        assert keys_of(engine) == [1]


def test_a_merge_on_a_full_disk_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = FullDisk(tmp_path)
    storage.full = False
    with opened(tmp_path, EngineOptions(compact_interval_s=0.01), storage=storage) as engine:
        for key in range(3):
            put(engine, key)
            engine.flush()
        storage.full = True
        with pytest.raises(StorageFull, match="cannot merge blocks in .*No space left.*; free space"):
            engine.compact()
        assert (keys_of(engine), engine.stats().blocks) == ([0, 1, 2], 3)
        assert not list((tmp_path / "tmp").iterdir())
        storage.full = False
        put(engine, 3)
        engine.flush()
        until(lambda: engine.stats().blocks == 1)
    assert "Traceback" not in caplog.text


def test_a_segment_that_cannot_be_read_waits_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as engine:
        put(engine, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", _no_file_left)
        with opened(tmp_path) as blind:
            put(blind, 2)
            blind.flush()
            assert keys_of(blind) == [2]
    with opened(tmp_path) as engine:
        assert keys_of(engine) == [1, 2]


def _no_file_left(path: Path) -> bytes:
    if path.suffix == ".wal":
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with open(path, "rb") as file:
        return file.read()


def test_a_wal_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as engine:
        put(engine, 1)

        def full(fd: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(StorageFull):
            put(engine, 2)
        monkeypatch.undo()
        put(engine, 2, 3)
        assert engine.counters.wal_errors == 1
        with engine.view() as view:  # the layout was told of a new generation: names of key 2 are there
            assert {1, 2, 3} <= set(view.head("names")["key"].to_pylist())
    with opened(tmp_path) as engine:
        assert keys_of(engine) == [1, 2, 3]


def names_of(engine: Engine) -> set[int]:
    with engine.view() as view:
        blocks = [block.read("names") for block in view.blocks]
        return {key for table in [*blocks, view.head("names")] if table.num_rows for key in table["key"].to_pylist()}


def test_names_are_there_where_the_first_append_of_a_key_was_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        put(engine, 1)
        rows = values_batch([(2, NOW, 0)])
        with pytest.raises(ValueError, match="cannot append table 'values'"):
            engine.append({"values": rows.set_column(1, "t_ns", rows.column("t_ns").cast(pa.string()))})
        put(engine, 2)
        assert names_of(engine) == {1, 2}


def failing_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)


def test_rows_whose_sync_failed_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later sync of the same file may succeed without them."""
    with opened(tmp_path, EngineOptions(fsync_interval_s=0.001, compact_interval_s=3600.0)) as engine:
        with monkeypatch.context() as patch:
            failing_sync(patch)
            put(engine, 1)
            until(lambda: engine._appender._segment is not None and engine._appender._segment.broken)
        put(engine, 1, 2, value=7)
        until(lambda: engine.stats().blocks == 1)
        assert (keys_of(engine), names_of(engine)) == ([1, 2], {1, 2})
        with engine.view() as view:
            assert set(view.head("names")["key"].to_pylist()) == {1, 2}  # the new segment stands alone


def test_a_segment_that_cannot_be_synced_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, EngineOptions(fsync_interval_s=3600.0, compact_interval_s=3600.0)) as engine:
        until(lambda: engine.counters.fsyncs == 1)  # the timer's first; the next is an hour away
        put(engine, 1)
        engine._appender.rotate()
        put(engine, 2)
        real = os.fdatasync

        def fail_once(fd: int) -> None:
            monkeypatch.setattr(os, "fdatasync", real)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fdatasync", fail_once)
        before = engine.counters.fsyncs
        engine._appender.sync()
        assert engine.counters.fsyncs == before + 1


def test_flushed_segments_leave_no_open_file(tmp_path: Path) -> None:
    with opened(tmp_path, EngineOptions(fsync="always", compact_interval_s=3600.0)) as engine:
        for key in range(3):
            put(engine, key)
            engine.flush()
        held = [_path(fd) for fd in os.listdir("/proc/self/fd")]
        assert not [path for path in held if path.startswith(str(tmp_path / "wal")) and path.endswith("(deleted)")]


def _path(fd: str) -> str:
    """Of what is open; empty where another thread has just closed it."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""
