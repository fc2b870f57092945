"""Deletes in the engine: what they hide, what they do not, and when their tombstones go."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from obs.columnar.engine import Engine
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.options import EngineOptions
from obs.columnar.tombstones import Tombstone, decode_tombstone, encode_tombstone
from obs.errors import Unavailable, UserError

DAY = 86_400_000_000_000
NOW = 20_000 * DAY + DAY // 2
OPTIONS = EngineOptions(compact_interval_s=3600.0)
EVER = (-(1 << 70), 1 << 70)


class FixedClock:
    def now_ns(self) -> int:
        return NOW


def opened(folder: Path) -> Engine:
    engine = Engine(KeyValueLayout(), folder, OPTIONS, FixedClock())
    engine.open()
    assert engine.wait_recovered(30)
    return engine


def put(engine: Engine, *rows: tuple[int, int, int]) -> None:
    engine.append({"values": values_batch(list(rows))})


def drop(engine: Engine, *keys: int, bounds: tuple[int, int] = EVER) -> None:
    engine.delete(orjson.dumps(keys), *bounds)


def values(engine: Engine) -> dict[tuple[int, int], int]:
    with engine.view() as view:
        return read_values(view)


def tombstones(folder: Path) -> list[str]:
    return [p.name for p in (folder / "tombstones").iterdir()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "engine"


def test_what_is_written_after_a_delete_is_not_hidden_by_it_wherever_it_goes(folder: Path) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1), (2, NOW, 1), (3, NOW - 3 * DAY, 1))
    engine.flush()
    drop(engine, 1, 3)
    assert values(engine) == {(2, NOW): 1}
    put(engine, (1, NOW, 2))
    again = {(1, NOW): 2, (2, NOW): 1}
    for step in ("flush", "compact"):
        getattr(engine, step)()
        assert values(engine) == again
        engine.close()
        engine = opened(folder)
        assert values(engine) == again
    assert len(tombstones(folder)) == 1, "the block of key 3 still needs it"
    engine.clean()
    assert (values(engine), tombstones(folder)) == (again, [])
    engine.close()


@pytest.mark.parametrize("bounds", [(NOW, NOW), (NOW - 5, NOW), (NOW, NOW + 5)])
def test_a_delete_reaches_rows_at_its_bounds_and_none_beside(folder: Path, bounds: tuple[int, int]) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1))
    engine.flush()
    put(engine, (1, bounds[0] - 1, 2), (1, bounds[1] + 1, 3))
    engine.flush()
    drop(engine, 1, bounds=bounds)
    assert values(engine) == {(1, bounds[0] - 1): 2, (1, bounds[1] + 1): 3}
    engine.close()


def test_a_delete_before_the_head_is_flushed_is_read_back_from_the_wal(folder: Path, tmp_path: Path) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1), (2, NOW, 1))
    with engine._state.flushing:
        shutil.copytree(folder, tmp_path / "crashed")
    drop(engine, 1)
    shutil.copytree(folder / "tombstones", tmp_path / "crashed" / "tombstones", dirs_exist_ok=True)
    engine.close()
    crashed = opened(tmp_path / "crashed")
    put(crashed, (1, NOW + 1, 3))
    assert values(crashed) == {(2, NOW): 1, (1, NOW + 1): 3}
    with crashed.view() as view:
        assert sorted(set(view.head("names")["key"].to_pylist())) == [1, 2]
    crashed.clean()
    assert (values(crashed), tombstones(tmp_path / "crashed")) == ({(2, NOW): 1, (1, NOW + 1): 3}, [])
    crashed.close()


def test_a_view_keeps_what_it_saw(folder: Path) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1))
    engine.flush()
    put(engine, (1, NOW + 1, 1))
    with engine.view() as before:
        seen = read_values(before)
        drop(engine, 1)
        engine.clean()
        assert values(engine) == {}
        assert read_values(before) == seen
    assert not list((folder / "blocks").iterdir())
    engine.close()


def test_only_blocks_that_are_touched_are_written_anew(folder: Path) -> None:
    engine = opened(folder)
    for key in (1, 2):
        put(engine, (key, NOW, 1), (key + 10, NOW, 1))
        engine.flush()
    put(engine, (1, NOW - 3 * DAY, 1))
    engine.flush()
    with engine.view() as view:
        names = {b.name for b in view.blocks}
    drop(engine, 1, bounds=(NOW, NOW))
    assert engine.clean() == 1
    with engine.view() as view:
        assert len(names & {b.name for b in view.blocks}) == 2
    assert values(engine) == {(11, NOW): 1, (2, NOW): 1, (12, NOW): 1, (1, NOW - 3 * DAY): 1}
    engine.close()


def test_a_delete_of_nothing_is_let_go(folder: Path) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1))
    engine.flush()
    drop(engine, 7)
    assert len(tombstones(folder)) == 1
    assert (engine.clean(), tombstones(folder)) == (0, [])
    engine.close()


def test_generations_go_on_after_the_last_delete_when_nothing_else_is_left(folder: Path) -> None:
    engine = opened(folder)
    for at in range(5):
        put(engine, (1, NOW, at))
        engine.flush()
    drop(engine, 1)
    engine.close()
    shutil.rmtree(folder / "blocks")
    for segment in (folder / "wal").iterdir():
        segment.unlink()
    engine = opened(folder)
    put(engine, (1, NOW, 9))
    engine.close()
    engine = opened(folder)
    assert values(engine) == {(1, NOW): 9}
    engine.close()


def test_a_snapshot_takes_the_deletes_along(folder: Path, tmp_path: Path) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1), (2, NOW, 1))
    engine.flush()
    drop(engine, 1)
    engine.snapshot(tmp_path / "copy")
    engine.close()
    copy = opened(tmp_path / "copy")
    assert values(copy) == {(2, NOW): 1}
    copy.close()


def test_a_damaged_tombstone_goes_to_quarantine(folder: Path) -> None:
    engine = opened(folder)
    put(engine, (1, NOW, 1))
    engine.flush()
    drop(engine, 1)
    engine.close()
    (path,) = (folder / "tombstones").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    engine = opened(folder)
    assert values(engine) == {(1, NOW): 1}
    assert engine.counters.quarantined == 1
    assert len(list((folder / "quarantine").iterdir())) == 1
    engine.close()


def test_bytes_of_a_tombstone() -> None:
    tombstone = Tombstone(3, 12, -(1 << 80), 1 << 80, b"any\nbytes\x00")
    assert decode_tombstone(encode_tombstone(tombstone)) == tombstone
    for cut in range(len(encode_tombstone(tombstone))):
        with pytest.raises(ValueError):
            decode_tombstone(encode_tombstone(tombstone)[:cut])


class WithoutDeletes:
    """A layout of the time before deletes."""

    name, tables = KeyValueLayout.name, KeyValueLayout.tables
    on_append, on_replay = KeyValueLayout.on_append, KeyValueLayout.on_replay
    write_block, __init__ = KeyValueLayout.write_block, KeyValueLayout.__init__


def test_who_cannot_delete(folder: Path) -> None:
    plain = Engine(WithoutDeletes(), folder / "plain", OPTIONS, FixedClock())
    plain.open()
    with pytest.raises(UserError, match="has no deletes"):
        plain.delete(b"", *EVER)
    plain.close()
    closed = opened(folder / "closed")
    put(closed, (1, NOW, 1))
    closed.flush()
    put(closed, (1, NOW, 1))
    closed.flush()
    closed.close()
    with pytest.raises(Unavailable):
        closed.delete(b"[1]", *EVER)
    with pytest.raises(Unavailable):
        closed.clean()
    assert closed.compact() == 0, "a closed engine's folder is another's"
