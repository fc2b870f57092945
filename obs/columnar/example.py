"""The smallest layout that shows every hook: keyed values, last write wins. Tests and the bench use it.

Tables: `values` (key, t_ns, value, and whatever columns come along) and `names` (key, name), which the layout adds
once per generation for keys new to it, as the metrics store does with its series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.block import Block
from obs.columnar.layout import BlockWriter, TableLayout
from obs.columnar.tombstones import Tombstone

VALUES = pa.schema([("key", pa.int64()), ("t_ns", pa.int64()), ("value", pa.int64())])
NAMES = pa.schema([("key", pa.int64()), ("name", pa.string())])


def values_batch(rows: list[tuple[int, int, int]]) -> pa.RecordBatch:
    """A batch of (key, t_ns, value)."""
    return pa.RecordBatch.from_pylist([dict(zip(VALUES.names, row, strict=True)) for row in rows], schema=VALUES)


def last_written(table: pa.Table) -> pa.Table:
    """`table` sorted by (key, t_ns) with the last written row of each."""
    numbered = table.append_column("written", pa.array(range(table.num_rows), pa.int64()))
    last = numbered.group_by(["key", "t_ns"]).aggregate([("written", "max")])["written_max"]
    return table.take(last).sort_by([("key", "ascending"), ("t_ns", "ascending")])


class KeyValueLayout:
    """See the module."""

    name = "example"
    tables = (TableLayout("values", "t_ns"), TableLayout("names", None))

    def __init__(self) -> None:
        self._generation = -1
        self._named: set[int] = set()

    def on_append(self, generation: int, tables: Mapping[str, pa.RecordBatch]) -> Mapping[str, pa.RecordBatch]:
        """Adds the names of keys that this generation does not hold yet."""
        if generation != self._generation:
            self._generation, self._named = generation, set()
        new = sorted(set(pc.unique(tables["values"].column("key")).to_pylist()) - self._named)
        if not new:
            return tables
        self._named.update(new)
        names = pa.record_batch([pa.array(new, pa.int64()), pa.array([f"key {k}" for k in new])], schema=NAMES)
        return {"names": names, **tables}

    def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
        """Nothing is kept in memory beside the head."""

    def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
        """Values sorted by key and time; the names of the keys that are here."""
        values, names = tables["values"], tables["names"]
        if values.num_rows:
            values = last_written(values)
            out.parquet("values", values)
            names = names.filter(pc.is_in(names["key"], pc.unique(values["key"]))) if names.num_rows else names
        if names.num_rows:
            out.parquet("names", names.group_by(["key", "name"]).aggregate([]).sort_by("key"))
        out.file("keys.txt", "\n".join(map(str, pc.unique(values["key"]).to_pylist())).encode() if values else b"")
        return {"keys": len(pc.unique(values["key"])) if values.num_rows else 0}

    def erase(self, tables: Mapping[str, pa.Table], tombstones: Sequence[Tombstone]) -> Mapping[str, pa.Table]:
        """Payloads are keys as JSON; a key's name goes with its last value."""
        values, names = tables["values"], tables.get("names", pa.table({}))
        for tombstone in tombstones if values.num_rows else ():
            keys = pa.array(orjson.loads(tombstone.payload), pa.int64())
            in_time = pc.is_in(values["t_ns"], _between(values["t_ns"], tombstone.min_ns, tombstone.max_ns))
            values = values.filter(pc.invert(pc.and_(pc.is_in(values["key"], keys), in_time)))
        if names.num_rows:
            left = values["key"].combine_chunks() if values.num_rows else pa.array([], pa.int64())
            names = names.filter(pc.is_in(names["key"], left))
        return {"values": values, "names": names}

    def touches(self, block: Block, tombstone: Tombstone) -> bool:
        """Whether the block has any of the keys."""
        return bool(set(block.read_file("keys.txt").decode().split()) & set(map(str, orjson.loads(tombstone.payload))))


def _between(times: pa.ChunkedArray, low: int, high: int) -> pa.Array:
    return pa.array([t for t in set(times.to_pylist()) if low <= t <= high], pa.int64())


def read_values(view: Any) -> dict[tuple[int, int], int]:
    """(key, t_ns) → value over a view's blocks and head, the last written winning."""
    found: dict[tuple[int, int], int] = {}
    erase = KeyValueLayout().erase
    blocks = [erase({"values": block.read("values")}, block.tombstones)["values"] for block in view.blocks]
    for table in [*blocks, view.head("values")]:
        if table.num_rows:
            keys, times, values = (table[c].to_pylist() for c in VALUES.names)
            found.update(zip(zip(keys, times, strict=True), values, strict=True))
    return found
