"""Heads: what was added is read in order, whatever was joined meanwhile."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pyarrow as pa
import pytest

from obs.columnar import head as columnar_head
from obs.columnar.head import Head, concatenate
from obs.columnar.joining import joined
from obs.columnar.meta import BlockMeta, FileFacts, decode_meta, encode_meta


def batch(first: int, rows: int, column: str = "a") -> pa.RecordBatch:
    words = pa.array([f"w{(first + i) % 5}" for i in range(rows)]).dictionary_encode()
    return pa.record_batch({"n": pa.array(range(first, first + rows)), column: words})


def test_many_small_batches_read_again_and_again() -> None:
    head, rng, added = Head(1, ["rows"]), random.Random(3), 0
    for _ in range(2000):
        rows = rng.randrange(1, 5)
        head.add([("rows", batch(added, rows, rng.choice("ab")))])
        added += rows
        if rng.random() < 0.05:
            mark = rng.randrange(1, added + 1)
            assert head.column("rows", "n", mark).to_pylist() == list(range(mark))
            assert head.table("rows", mark)["n"].to_pylist() == list(range(mark))
    table = head.table("rows")
    assert table["n"].to_pylist() == list(range(added))
    assert table["n"].num_chunks < 200
    for i, a, b in zip(range(added), table["a"].to_pylist(), table["b"].to_pylist(), strict=True):
        assert {a, b} == {None, f"w{i % 5}"}


def test_a_head_that_was_never_read_is_runs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar_head, "HEAD_TAIL_ROWS", 4)
    monkeypatch.setattr(columnar_head, "HEAD_RUN_ROWS", 20)
    head = Head(1, ["rows"])
    for number in range(30):
        head.add([("rows", batch(3 * number, 3))])
    head.add([("rows", batch(90, 50))])
    runs = head.runs("rows")
    assert [n for run in runs for n in run["n"].to_pylist()] == list(range(140))
    assert [run.num_rows for run in runs] == [18, 18, 18, 18, 18, 50]


def test_numbers_that_came_in_large_chunks_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar_head, "HEAD_TAIL_ROWS", 4)
    monkeypatch.setattr(columnar_head, "HEAD_CHUNK_ROWS", 20)
    head, given = Head(1, ["rows"]), [pa.record_batch({"n": pa.array(range(20 * i, 20 * i + 20))}) for i in range(6)]
    for number, numbers in enumerate(given):
        head.add([("rows", numbers)])
        if number % 2:
            head.runs("rows")
    run = head.runs("rows")[0]
    assert [c.buffers()[1].address for c in run["n"].chunks] == [b["n"].buffers()[1].address for b in given]
    head.add([("rows", batch(0, 1).select(["n"]))])
    assert head.runs("rows")[-1].num_rows == 1
    for number in range(9):
        head.add([("rows", batch(number, 1).select(["n"]))])
    runs = head.runs("rows")
    assert [n for run in runs for n in run["n"].to_pylist()] == [*range(120), 0, *range(9)]
    assert runs[-1]["n"].num_chunks == 1


def test_memory_that_ends_while_runs_are_joined_doubles_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar_head, "HEAD_TAIL_ROWS", 4)
    monkeypatch.setattr(columnar_head, "HEAD_RUN_ROWS", 20)
    head, calls = Head(1, ["rows"]), itertools.count()
    for number in range(30):
        head.add([("rows", batch(3 * number, 3))])

    def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
        if next(calls) == 2:
            raise MemoryError
        return concatenate(tables)

    with monkeypatch.context() as patched:
        patched.setattr(columnar_head, "concatenate", concatenated)
        with pytest.raises(MemoryError):
            head.runs("rows")
    assert head.table("rows")["n"].to_pylist() == list(range(90))
    assert [n for run in head.runs("rows") for n in run["n"].to_pylist()] == list(range(90))


def test_types_that_disagree_are_widened() -> None:
    words = pa.array(["a", "b"])
    tables = [pa.table({"w": words.dictionary_encode(), "n": [1, 2]}), pa.table({"w": words, "n": [0.5, 2.0]})]
    table = concatenate(tables)
    assert table.to_pydict() == {"w": ["a", "b", "a", "b"], "n": [1, 2, 0.5, 2]}


def test_marks_are_a_snapshot() -> None:
    head = Head(1, ["rows", "names"])
    head.add([("rows", batch(0, 3))])
    marks = head.marks()
    head.add([("rows", batch(3, 3)), ("names", batch(0, 1))])
    assert marks == {"rows": 3, "names": 0}
    assert head.table("rows", marks["rows"]).num_rows == 3
    assert head.table("names", 0).num_columns == 0


def test_appends_that_arrive_together_are_joined() -> None:
    group = [{"rows": batch(0, 2), "names": batch(9, 1)}, {"rows": batch(2, 2)}, {"rows": batch(4, 1, "b")}]
    parts = joined(group)
    assert [(name, b["n"].to_pylist()) for name, b in parts] == [("rows", [0, 1, 2, 3]), ("rows", [4]), ("names", [9])]
    assert parts[0][1]["a"].to_pylist() == ["w0", "w1", "w2", "w3"]


META = BlockMeta(
    "2026.1-2.ab", "2026", 1, 2, -(1 << 80), 1 << 80, 5, {"rows": 5}, 99, {"rows.parquet": FileFacts(7, 8)}, 3,
    ("x", "y"), {"depth": 1.5, "names": ["ä"]},
)  # fmt: skip


def test_meta_round_trip() -> None:
    assert decode_meta(encode_meta(META)) == META


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"block":{},"crc32c":0}', b"\xff"])
def test_meta_that_is_none(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_meta(data)


def test_any_changed_byte_of_meta_is_seen() -> None:
    good = encode_meta(META)
    for at in range(len(good)):
        changed = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        try:
            assert decode_meta(changed) == META
        except ValueError:
            pass
