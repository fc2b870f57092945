"""Cells: how many records, and bytes of their bodies, each stream has of each severity in each interval of a block.

Written with the block; a count by what a cell knows is added up from cells, and only intervals that a window cuts are
read record by record. Intervals are left-open, as windows are. Rows lie by (stream, time), so those of one stream and
interval stand together: a cell also says where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.logstore import limits
from obs.logstore.names import DETECTED_LEVEL, FIXED_LABELS, LABEL_ALIASES
from obs.logstore.streams import StreamTable
from obs.model.schema import DICT, OVERFLOW

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WIDTHS_NS = tuple(seconds * 10**9 for seconds in (1, 10, 60, 600, 3600))
_FAR_NS = 1 << 62  # from where intervals may begin or end past what int64 holds
SEVERITY = ("severity_number", "severity_text")

SCHEMA = pa.schema(
    [
        pa.field("stream", pa.int32(), nullable=False),  # position among the block's streams
        pa.field("time_ns", pa.int64(), nullable=False),  # the last nanosecond of the interval
        pa.field("severity_number", pa.uint8()),
        pa.field("severity_text", DICT),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),  # of their bodies
    ]
)


def build_cells(table: pa.Table, lengths: I64, streams: npt.NDArray[np.integer]) -> tuple[pa.Table, int] | None:
    """The cells of sorted records (times and severities), and the nanoseconds of an interval.

    `lengths`: bytes of each body; `streams`: the position of each row's stream.

    None where cells would be nearly as many as rows, or severities are no few values.
    """
    codes, severities = _severities(table)
    times = table.column("time_ns").to_numpy()
    if len(severities) > limits.CELL_SEVERITIES or max(abs(int(times.min())), abs(int(times.max()))) > _FAR_NS:
        return None
    for width in WIDTHS_NS:
        change = (np.diff((times - 1) // width) != 0) | (np.diff(streams) != 0)
        runs = int(np.count_nonzero(change)) + 1
        if runs * limits.CELL_ROWS <= table.num_rows or width == WIDTHS_NS[-1]:
            break
    if runs * 2 > table.num_rows and table.num_rows > limits.CELL_ROWS:
        return None
    run = np.concatenate(([0], np.cumsum(change)))
    key = run * len(severities) + codes
    rows = np.bincount(key, minlength=runs * len(severities))
    sizes = np.bincount(key, lengths, minlength=runs * len(severities))
    there = np.flatnonzero(rows)
    first = np.concatenate(([0], np.flatnonzero(change) + 1))[there // len(severities)]
    severity = severities.take(pa.array(there % len(severities)))
    columns = [
        pa.array(streams[first], pa.int32()), pa.array(((times[first] - 1) // width + 1) * width), severity.column(0),
        severity.column(1), pa.array(rows[there]), pa.array(sizes[there].astype(np.int64)),
    ]  # fmt: skip
    return pa.table(columns, schema=SCHEMA), width


def _severities(table: pa.Table) -> tuple[I64, pa.Table]:
    """The pair of number and text of each row as a code, and the pairs."""
    codes = np.zeros(table.num_rows, np.int64)
    parts: list[tuple[pa.Array, int]] = []
    for name, kind in zip(SEVERITY, (pa.uint8(), pa.string()), strict=True):
        values, own = _encoded(table, name, kind)
        codes = codes * len(values) + own
        parts.append((values, len(values)))
    (numbers, _), (texts, width) = parts
    if len(numbers) * width <= 1 << 12:
        seen = np.flatnonzero(np.bincount(codes, minlength=len(numbers) * width))
        place = np.zeros(len(numbers) * width, np.int64)
        place[seen] = np.arange(len(seen))
        codes = place[codes]
    else:
        seen, codes = np.unique(codes, return_inverse=True)
    pairs = [numbers.take(pa.array(seen // width)), texts.take(pa.array(seen % width)).dictionary_encode()]
    return codes, pa.table([pairs[0], pairs[1].cast(DICT)], names=list(SEVERITY))


def _encoded(table: pa.Table, name: str, kind: pa.DataType) -> tuple[pa.Array, I64]:
    """A column as distinct values, the last null, and each row's position among them."""
    if name not in table.column_names:
        return pa.nulls(1, kind), np.zeros(table.num_rows, np.int64)
    column = table.column(name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    values = pa.concat_arrays([array.dictionary.cast(kind), pa.nulls(1, kind)])
    codes = array.indices.cast(pa.int64()).fill_null(len(values) - 1)
    return values, codes.to_numpy()


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of rows that stand for several records each: how many, and the bytes of their lines."""

    rows: I64
    bytes: I64


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a block; those of one stream and interval own the rows start[i]:end[i] together."""

    width_ns: int
    streams: npt.NDArray[np.int32]
    times_ns: I64
    severity: pa.Table
    amounts: Amounts
    start: I64
    end: I64

    @classmethod
    def of_table(cls, table: pa.Table, width_ns: int) -> Cells:
        """From how they stand in a block."""
        streams, times, rows, sizes = (table.column(n).to_numpy() for n in ("stream", "time_ns", "rows", "bytes"))
        run = np.concatenate(([True], (np.diff(streams) != 0) | (np.diff(times) != 0)))
        first = np.flatnonzero(run)
        ends = np.cumsum(np.add.reduceat(rows, first))
        of = np.cumsum(run) - 1
        starts = np.concatenate(([0], ends[:-1]))
        return cls(width_ns, streams, times, table.select(list(SEVERITY)), Amounts(rows, sizes), starts[of], ends[of])


def known(names: Iterable[str], streams: StreamTable, attributes: Iterable[str], columns: Iterable[str]) -> bool:
    """Whether cells know all that these labels can be in a block of such attributes and columns."""
    attributes, overflow = frozenset(attributes), OVERFLOW in columns
    return all(_known(name, streams, attributes, overflow) for name in names)


def _known(name: str, streams: StreamTable, attributes: frozenset[str], overflow: bool) -> bool:
    if name == DETECTED_LEVEL or streams.everywhere(name):
        return True
    if name in attributes or overflow:
        return False
    if name in LABEL_ALIASES:
        return _known(LABEL_ALIASES[name], streams, attributes, overflow)
    return name in SEVERITY or name not in FIXED_LABELS
