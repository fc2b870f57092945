"""Recovery: cut short, hindered by the layout, or over the limits; the order of writes survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from obs.columnar.engine import Engine
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.options import EngineOptions

NOW = time.time_ns()
QUIET = EngineOptions(compact_interval_s=3600.0)


class Gated(KeyValueLayout):
    """Reads back nothing until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.replayed = threading.Event()

    def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
        self.replayed.set()
        self.gate.wait(20)


def put(engine: Engine, key: int, value: int) -> None:
    engine.append({"values": values_batch([(key, NOW, value)])})


def values(engine: Engine) -> dict[int, int]:
    with engine.view() as view:
        return {key: value for (key, _), value in read_values(view).items()}


def opened(folder: Path, options: EngineOptions = QUIET, layout: KeyValueLayout | None = None) -> Engine:
    engine = Engine(layout or KeyValueLayout(), folder, options)
    engine.open()
    return engine


def test_closed_while_it_recovers(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, 1, 1)
    engine.close()
    layout = Gated()
    engine = opened(tmp_path, EngineOptions(flush_rows=1), layout)
    assert layout.replayed.wait(20)
    put(engine, 1, 2)  # its head is full at once, but waits for the older rows
    closing = threading.Thread(target=engine.close)
    closing.start()
    layout.gate.set()
    closing.join(20)
    engine = opened(tmp_path)
    assert engine.wait_recovered(20)
    engine.flush()
    assert values(engine) == {1: 2}
    engine.close()


def test_a_layout_that_cannot_take_a_batch_back(tmp_path: Path) -> None:
    class Forgetful(KeyValueLayout):
        def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
            if 2 in tables["values"]["key"].to_pylist():
                raise RuntimeError("a bug")

    engine = opened(tmp_path)
    for key in (1, 2, 3):
        put(engine, key, key)
    engine.close()
    engine = opened(tmp_path, layout=Forgetful())
    assert engine.wait_recovered(20)
    assert values(engine) == {1: 1}
    assert engine.counters.quarantined == 1
    engine.flush()
    engine.close()
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_many_segments_come_back_in_bounded_heads(tmp_path: Path) -> None:
    never = EngineOptions(flush_rows=1 << 40, compact_interval_s=3600.0)
    for life in range(6):
        engine = Engine(KeyValueLayout(), tmp_path / str(life), never)
        engine.open()
        for key in range(20):
            put(engine, key, life)
        engine.close()
    folder = tmp_path / "0"
    for life in range(1, 6):  # what six crashes before any flush leave: generations 1, 2 … in one folder
        (tmp_path / str(life) / "wal" / f"{1:012d}.wal").rename(folder / "wal" / f"{life + 1:012d}.wal")
    engine = opened(folder, EngineOptions(flush_rows=40, compact_interval_s=3600.0))
    put(engine, 0, 99)
    assert engine.wait_recovered(20)
    engine.flush()
    assert values(engine) == {0: 99, **dict.fromkeys(range(1, 20), 5)}
    with engine.view() as view:
        assert [(b.meta.low, b.meta.high, b.meta.rows) for b in view.blocks] == [
            (1, 2, 20), (3, 4, 20), (5, 6, 20), (7, 7, 1),
        ]  # fmt: skip
    engine.close()
