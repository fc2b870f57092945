"""Which partition a time belongs to, and a flush's tables split by it. Pure.

Days around now are partitions of their own, then years, then `before` and `after`: for one "now" a time has one
partition only, so rows with equal keys always meet in one block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.layout import TableLayout
from obs.columnar.limits import DAY_NS, DAYS_AHEAD, DAYS_BACK, FEW_DAYS, YEARS_AHEAD, YEARS_BACK

Int64s = npt.NDArray[np.int64]

_DAY, _YEAR, _BEFORE, _AFTER = 0, 1 << 40, 2 << 40, 3 << 40  # kinds, above any number of a day or a year
_LOW = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class PartitionRows:
    """What one flush puts into one partition; every table is there, perhaps empty."""

    partition: str
    tables: Mapping[str, pa.Table]


def partition_keys(days: Int64s, now_day: int) -> Int64s:
    """A partition's key for each day since 1970, as seen on `now_day`; keys are made to be compared and named only."""
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    now_year = int(np.int64(now_day).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64))
    keys = np.where(years > now_year + YEARS_AHEAD, _AFTER, _YEAR + years + (1 << 20))
    keys = np.where(years < now_year - YEARS_BACK, _BEFORE, keys)
    near = (days >= now_day - DAYS_BACK) & (days <= now_day + DAYS_AHEAD)
    return np.where(near, _DAY + days + (1 << 30), keys).astype(np.int64)


def partition_label(key: int) -> str:
    """`2026-11-23`, `2026`, `before` or `after`."""
    kind, low = key & ~_LOW, key & _LOW
    if kind == _DAY:
        return str(np.datetime64(low - (1 << 30), "D"))
    if kind == _YEAR:
        return str(np.datetime64(low - (1 << 20), "Y"))
    return "before" if kind == _BEFORE else "after"


def _table_keys(table: pa.Table, layout: TableLayout, now_day: int) -> Int64s | int:
    """The partition key of each row; one for all where they are of one day."""
    ticks, per_day = table.column(layout.time_column), DAY_NS // layout.ns_per_tick
    if not ticks.null_count:
        ends = pc.min_max(ticks)
        first, last = ends["min"].as_py() // per_day, ends["max"].as_py() // per_day
        if first == last:
            return int(partition_keys(np.clip(np.array([first]), -(1 << 29), 1 << 29), now_day)[0])
    days = np.floor_divide(ticks.fill_null(0).to_numpy(), per_day)
    first, last = int(days.min()), int(days.max())
    if last - first >= FEW_DAYS:
        return partition_keys(np.clip(days, -(1 << 29), 1 << 29), now_day)
    each: Int64s = partition_keys(np.clip(np.arange(first, last + 1), -(1 << 29), 1 << 29), now_day)[days - first]
    return each


def _distinct(keys: Int64s | int) -> Sequence[int]:
    if isinstance(keys, int):
        return [keys]
    changes = np.flatnonzero(keys[1:] != keys[:-1])  # rows come in about the order of their times: few
    found: list[int] = np.unique(keys[np.append(changes, len(keys) - 1)]).tolist()
    return found


def split(tables: Mapping[str, pa.Table], layouts: Sequence[TableLayout], now_ns: int) -> Iterator[PartitionRows]:
    """The rows of one flush by partition; tables without a time go whole into each. Order of rows is kept."""
    now_day = now_ns // DAY_NS
    timed = [layout for layout in layouts if layout.time_column and tables[layout.name].num_rows]
    keys = {layout.name: _table_keys(tables[layout.name], layout, now_day) for layout in timed}
    wanted = sorted({key for column in keys.values() for key in _distinct(column)})
    if not wanted and any(t.num_rows for t in tables.values()):
        wanted = [int(partition_keys(np.array([now_day]), now_day)[0])]
    for key in wanted:
        yield PartitionRows(
            partition_label(key),
            {name: _rows_of(table, keys[name], key) if name in keys else table for name, table in tables.items()},
        )


def _rows_of(table: pa.Table, keys: Int64s | int, key: int) -> pa.Table:
    if isinstance(keys, int):
        return table if keys == key else table.slice(0, 0)
    hit = keys == key
    return table if hit.all() else table.filter(pa.array(hit))


def time_range(tables: Mapping[str, pa.Table], layouts: Sequence[TableLayout]) -> tuple[int, int] | None:
    """The least and greatest time in ns over every table that has one; None where no row has."""
    bounds = []
    for layout in layouts:
        table = tables.get(layout.name)
        if layout.time_column and table is not None and table.num_rows:
            found = pc.min_max(table.column(layout.time_column))
            if found["min"].is_valid:
                bounds += [found["min"].as_py() * layout.ns_per_tick, found["max"].as_py() * layout.ns_per_tick]
    return (min(bounds), max(bounds)) if bounds else None
