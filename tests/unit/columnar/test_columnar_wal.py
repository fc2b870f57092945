"""Segments: any batches in any schemas come back as they went in, also past torn and failed writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from obs.columnar.frame import End
from obs.columnar.limits import MAX_STREAMS
from obs.columnar.wal import SegmentReader, SegmentWriter, as_appends
from obs.errors import StorageFull


def batch(first: int, words: list[str], **more: str) -> pa.RecordBatch:
    columns = {"n": pa.array(range(first, first + len(words))), "word": pa.array(words).dictionary_encode()}
    return pa.record_batch({**columns, **{k: pa.array([v] * len(words)) for k, v in more.items()}})


def written(path: Path, groups: list[list[tuple[str, pa.RecordBatch]]]) -> SegmentWriter:
    segment = SegmentWriter(path, 1)
    for parts in groups:
        segment.append(parts)
    return segment


def same(read: SegmentReader, groups: list[list[tuple[str, pa.RecordBatch]]]) -> bool:
    found = [[(name, b.to_pylist(), b.schema) for name, b in parts] for parts in read]
    return found == [[(name, b.to_pylist(), b.schema) for name, b in parts] for parts in groups]


def test_dictionaries_and_schemas_that_change(tmp_path: Path) -> None:
    groups = [
        [("logs", batch(0, ["a", "b", "a"])), ("names", batch(0, ["x"]))],
        [("logs", batch(3, ["c", "a"])), ("logs", batch(5, ["a"], host="h1"))],
        [("logs", batch(6, ["a", "b", "a"])), ("logs", batch(9, ["d", "e"], host="h2"))],
        [("logs", batch(11, ["b"] * 500).slice(100, 5))],
    ]
    written(tmp_path / "s", groups).close()
    reader = SegmentReader(tmp_path / "s")
    assert same(reader, groups)
    assert (reader.end, reader.offset) == (End.CLEAN, reader.size)


def test_the_schema_is_written_once(tmp_path: Path) -> None:
    segment = SegmentWriter(tmp_path / "s", 1)
    sizes = [segment.append([("logs", batch(i, ["a"]))]) for i in range(3)]
    assert sizes[0] > sizes[1] + 200
    assert sizes[1] == sizes[2]


def test_more_schemas_than_streams(tmp_path: Path) -> None:
    groups = [[("logs", batch(i, ["a"], **{f"column {i}": "v"}))] for i in range(MAX_STREAMS * 2 + 5)]
    groups += groups[:3]
    written(tmp_path / "s", groups).close()
    assert same(SegmentReader(tmp_path / "s"), groups)


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_tail_costs_only_the_last_frame(tmp_path: Path, cut: int) -> None:
    groups = [[("logs", batch(i, ["a", "b"]))] for i in range(3)]
    segment = written(tmp_path / "s", groups)
    os.truncate(tmp_path / "s", segment.size - cut)
    reader = SegmentReader(tmp_path / "s")
    assert same(reader, groups[:2])
    assert reader.end is End.TORN


def test_damage_in_the_middle(tmp_path: Path) -> None:
    groups = [[("logs", batch(i, ["a", "b"]))] for i in range(3)]
    segment = SegmentWriter(tmp_path / "s", 1)
    segment.append(groups[0])
    at = segment.size + 40
    for parts in groups[1:]:
        segment.append(parts)
    with open(tmp_path / "s", "r+b") as file:
        file.seek(at)
        file.write(b"\xff\xfe\xfd")
    reader = SegmentReader(tmp_path / "s")
    assert same(reader, groups[:1])
    assert reader.end is End.DAMAGED
    assert reader.offset == at - 40


@pytest.mark.parametrize("content", [b"", b"obsWAL1", b"x" * 16])
def test_files_that_are_no_segment(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    reader = SegmentReader(tmp_path / "s")
    assert list(reader) == []
    assert reader.end is End.TORN


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [[("logs", batch(0, ["a"]))], [("logs", batch(1, ["new words"], host="h"))], [("logs", batch(2, ["z"]))]]
    segment = written(tmp_path / "s", good[:1])
    real = os.write

    def half_then_full(fd: int, data: bytes) -> int:
        if len(data) > 150:
            return real(fd, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(StorageFull, match=r"cannot write WAL .*No space left.*; free space"):
        segment.append(good[1])
    monkeypatch.undo()
    assert (tmp_path / "s").stat().st_size == segment.size
    for parts in good[1:]:
        segment.append(parts)
    assert same(SegmentReader(tmp_path / "s"), good)


def test_a_frame_that_cannot_be_synced_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [[("logs", batch(0, ["a"]))]]
    segment = written(tmp_path / "s", good)

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StorageFull, match=r"cannot write WAL .*Input/output error"):
        segment.append([("logs", batch(1, ["b"]))], sync=True)
    assert segment.broken  # what a later sync says of it is worth nothing
    assert same(SegmentReader(tmp_path / "s"), good)


def test_parts_of_one_frame_as_appends() -> None:
    a, b = batch(0, ["a"]), batch(0, ["b"], host="h")
    rounds = list(as_appends([("series", a), ("logs", a), ("logs", b), ("series", b)]))
    assert rounds == [{"series": a, "logs": a}, {"logs": b, "series": b}]
