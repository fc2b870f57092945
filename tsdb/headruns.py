"""Rows of a head by series, then time, and its series. What is worked out once serves until its head is flushed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tsdb.idtable import IdTable, bits
from obs.tsdb.index import SeriesIndex
from obs.tsdb.limits import SORTED_RUN_ROWS
from obs.tsdb.rows import head_rows, whole
from obs.tsdb.sorting import sort_rows

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Run:
    """Series ordinals[k] (rising) owns rows starts[k]:stops[k]; times rise in it, of equal ones the last is kept."""

    ordinals: I64
    starts: I64
    stops: I64
    t_ms: I64
    values: F64

    def chosen(self, wanted: I64) -> I64:
        """Positions of those of some ordinals (rising) that are here."""
        if not len(self.ordinals):
            return NONE
        if 8 * len(wanted) < len(self.ordinals):
            at = np.searchsorted(self.ordinals, wanted)
            at = at[at < len(self.ordinals)]
            return at[self.ordinals[at] == wanted[: len(at)]]
        return np.flatnonzero(np.isin(self.ordinals, wanted, assume_unique=True, kind="table"))

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return 16 * len(self.t_ms) + 24 * len(self.ordinals)


NO_RUN = Run(NONE, NONE, NONE, NONE, np.empty(0))


def sorted_run(table: pa.Table, index: SeriesIndex) -> Run:
    """Rows of a head, in the order they were written, sorted; series that the index does not know are left out."""
    rows, _ = head_rows(table, index)
    present = np.zeros(int(rows.ordinals.max(initial=-1)) + 1, np.bool_)
    present[rows.ordinals] = True
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    distinct = np.flatnonzero(present)
    order, counts = sort_rows(rank[rows.ordinals], rows.t_ms, len(distinct))
    ends = np.cumsum(counts)
    return Run(distinct, ends - counts, ends, rows.t_ms[order], rows.values[order])


class Few:
    """Some series among many, to be taken from tables of heads whose rows are not sorted yet."""

    def __init__(self, index: SeriesIndex, ordinals: I64) -> None:
        self._index, self._ordinals = index, ordinals

    @cached_property
    def _table(self) -> tuple[IdTable, npt.NDArray[np.uint8]]:
        """Small, so that many look-ups stay in a core's cache."""
        ids = self._index.ids(self._ordinals)
        return IdTable.of(ids), bits(ids)

    def run(self, table: pa.Table) -> Run:
        """Their rows, sorted; the others are passed by."""
        if not table.num_rows:
            return NO_RUN
        are_few = table.num_rows < SORTED_RUN_ROWS
        found = [self._of_few(*map(whole, _numbers(table)))] if are_few else self._by_chunk(table)
        ranks, t_ms, values = (np.concatenate(each) for each in zip(*found, strict=True))
        order, counts = sort_rows(ranks, t_ms, len(self._ordinals))
        ends, some = np.cumsum(counts), counts > 0
        return Run(self._ordinals[some], (ends - counts)[some], ends[some], t_ms[order], values[order])

    def _by_chunk(self, table: pa.Table) -> list[tuple[I32, I64, F64]]:
        """The rows of the series, as the position of each row's series among these, time and value, chunk by chunk."""
        known, told_by = self._table
        found = []
        for batch in table.to_batches():
            ids, t_ms, values = (column.to_numpy() for column in _numbers(batch))
            rows, ranks = known.pick(ids, told_by)
            found.append((ranks, t_ms[rows], values[rows]))
        return found

    def _of_few(self, ids: npt.NDArray[np.uint64], t_ms: I64, values: F64) -> tuple[I32, I64, F64]:
        """The same for few rows: no table needs to be made."""
        ordinals = self._index.ordinals(ids)
        at = np.minimum(np.searchsorted(self._ordinals, ordinals), len(self._ordinals) - 1)
        rows = np.flatnonzero(self._ordinals[at] == ordinals)
        return at[rows].astype(np.int32), t_ms[rows], values[rows]


def _numbers(samples: Any) -> list[Any]:
    """Ids, times and values of a table or a batch."""
    return [samples.column(name) for name in ("series_id", "t_ms", "value")]


def series_ordinals(table: pa.Table, index: SeriesIndex) -> npt.NDArray[np.int32]:
    """The series of a head's table of them; those that the index does not know are left out."""
    ordinals = index.ordinals(whole(table.column("series_id")))
    return ordinals[ordinals >= 0]


class Sized(Protocol):
    """What knows the memory that it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


Made = TypeVar("Made", bound=Sized)


class OfTables(Generic[Made]):
    """What is made of the tables that heads consist of, each kept as long as its table. Any thread."""

    def __init__(self, index: SeriesIndex, make: Callable[[pa.Table, SeriesIndex], Made]) -> None:
        self._index, self._make = index, make
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[weakref.ref[pa.Table], Made]] = {}
        self._asked: dict[int, weakref.ref[pa.Table]] = {}

    @property
    def nbytes(self) -> int:
        """Memory held."""
        with self._lock:
            return sum(made.nbytes for _, made in self._kept.values())

    def of(self, table: pa.Table) -> Made:
        """What is made of a table; of one that is small it is made each time."""
        if table.num_rows < SORTED_RUN_ROWS:
            return self._make(table, self._index)
        kept = self._found(table)
        if kept is not None:
            return kept
        key = id(table)
        made = self._make(table, self._index)
        with self._lock:
            self._kept[key] = weakref.ref(table, lambda _: self._let_go(key)), made
        return made

    def kept(self, table: pa.Table) -> Made | None:
        """What was made of a table; None where that is still to be done, which `make_asked` then does."""
        found = self._found(table)
        if found is None and table.num_rows >= SORTED_RUN_ROWS:
            self._asked[id(table)] = weakref.ref(table)
        return found

    def make_asked(self, pause: Callable[[], None] = lambda: None) -> None:
        """Make what was asked for and is not there yet: for whoever has time, and calls `pause` before each."""
        while self._asked:
            pause()
            _, reference = self._asked.popitem()
            table = reference()
            if table is not None:
                self.of(table)

    def _found(self, table: pa.Table) -> Made | None:
        with self._lock:
            kept = self._kept.get(id(table))
        return kept[1] if kept is not None and kept[0]() is table else None

    def _let_go(self, key: int) -> None:
        """Called while a table goes, by any thread, so it takes no lock."""
        self._kept.pop(key, None)
