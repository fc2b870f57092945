"""A chunk: rows that are read together, from the head, from cells or from one row group (`rowgroups`).

`Chunk` is where rows lie; `Rows` is what a query's stages see: the rows still alive, their line and their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.overflow import as_text
from obs.logstore.cells import SEVERITY, Amounts, Cells
from obs.logstore.linefields import LineFields
from obs.logstore.names import DETECTED_LEVEL, FIXED_LABELS, LABEL_ALIASES, LEVEL_WORDS, LEVELS
from obs.logstore.overflow import overflow_label
from obs.logstore.streams import StreamTable
from obs.model.labels import Labels
from obs.model.schema import OVERFLOW

_FEW = 16
"""Of so many rows at most one is wanted where pages are picked."""

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Chunk:
    """Rows of one place: columns by name, labels by name, and the stream of each row."""

    def __init__(
        self,
        load: Callable[[str], pa.Array],
        columns: Sequence[str],
        attributes: Mapping[str, list[str]],
        streams: StreamTable,
        stream_of: Callable[[], Index],
        bounds: tuple[int, int],
        rows: int,
        damaged: Callable[[], bool] = lambda: False,
        amounts: Amounts | None = None,
        load_many: Callable[[Sequence[str]], Sequence[pa.Array]] | None = None,
        some_texts: Callable[[Index], pa.Array | None] | None = None,
        load_some: Callable[[Sequence[str], Index], Mapping[str, pa.Array]] | None = None,
        find_texts: Callable[[bytes, Index], tuple[Index, pa.Array] | None] | None = None,
        remembered: Callable[[Hashable], Index | None] = lambda line_filter: None,
        remember: Callable[[Hashable, Index], None] = lambda line_filter, rows: None,
        line_fields: Callable[[str, Sequence[str]], LineFields | None] | None = None,
    ) -> None:
        self.rows = rows
        self.amounts = amounts
        self._load_many = load_many
        self._some_texts = some_texts
        self._load_some = load_some
        self._find_texts = find_texts
        self.remembered, self.remember = remembered, remember
        self._load_fields = line_fields
        self._fields: dict[tuple[str, ...], LineFields | None] = {}
        self.damaged = damaged
        self._load = load
        self.columns = frozenset(columns)
        self.attributes = attributes
        self.streams = streams
        self._stream_of = stream_of
        self.min_ns, self.max_ns = bounds
        self._cache: dict[str, pa.Array] = {}
        self.columns_read = 0

    def column(self, name: str) -> pa.Array | None:
        """A column of all rows, or None where the chunk has none of that name."""
        if name not in self.columns:
            return None
        if name not in self._cache:
            self._cache[name] = self._load(name)
            self.columns_read += 1
        return self._cache[name]

    def read_ahead(self, names: Iterable[str]) -> None:
        """Read columns together that will be asked for: cheaper than one by one."""
        lacking = [name for name in names if name in self.columns and name not in self._cache]
        if self._load_many is not None and len(lacking) > 1:
            self._cache.update(zip(lacking, self._load_many(lacking), strict=True))
            self.columns_read += len(lacking)

    def some(self, names: Iterable[str], rows: Index) -> Mapping[str, pa.Array]:
        """Columns of a few rows by name, without what was read already; none where the rows are not few."""
        lacking = [name for name in names if name in self.columns and name not in self._cache]
        if self._load_some is None or not lacking or len(rows) * _FEW > self.rows:
            return {}
        self.columns_read += len(lacking)
        return self._load_some(lacking, rows)

    def some_bodies(self, rows: Index) -> pa.Array | None:
        """The bodies of a few rows without reading all; None where that is no use or not known how."""
        if self._some_texts is None or "body" in self._cache or len(rows) * _FEW > self.rows:
            return None
        return self._some_texts(rows)

    def bodies_holding(self, text: str, rows: Index) -> tuple[Index, pa.Array] | None:
        """Where bodies hold a text, and these bodies; of other rows than `rows` some may be left out. None where bodies
        were read already or cannot be searched without that."""
        if self._find_texts is None or "body" in self._cache or not text:
            return None
        return self._find_texts(text.encode(), rows)

    def line_fields(self, parser: str, labels: Sequence[str]) -> LineFields | None:
        """What a parser finds of labels in the bodies; None where the chunk does not keep it."""
        key = (parser, *labels)
        if self._load_fields is not None and key not in self._fields:
            self._fields[key] = self._load_fields(parser, labels)
        return self._fields.get(key)

    @cached_property
    def stream_codes(self) -> Index:
        """For each row the position of its stream in `streams`."""
        return self._stream_of()

    def release(self) -> None:
        """Forget what was read; it is read again when asked for."""
        self._cache.clear()
        self._fields.clear()


def head_chunk(table: pa.Table, attributes: Mapping[str, list[str]], streams: StreamTable, codes: Index) -> Chunk:
    """A slice of the head; codes[row] is the position of its stream in `streams`."""
    times = table.column("time_ns")
    bounds = pc.min_max(times).as_py()

    def load(name: str) -> pa.Array:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        array = column.combine_chunks()
        return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)

    return Chunk(
        load, table.column_names, attributes, streams, lambda: codes, (bounds["min"], bounds["max"]), table.num_rows
    )


def cells_chunk(cells: Cells, last_ns: Index, streams: StreamTable) -> Chunk:
    """The cells of a block as rows; last_ns[i] is a time that stands for those of cell i."""

    def load(name: str) -> pa.Array:
        if name == "time_ns":
            return pa.array(last_ns)
        column = cells.severity.column(name)
        column = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
        array = column.combine_chunks()
        return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array

    bounds = (int(last_ns.min()), int(last_ns.max()))
    codes = cells.streams.astype(np.int64)
    return Chunk(load, ("time_ns", *SEVERITY), {}, streams, lambda: codes, bounds, len(codes), amounts=cells.amounts)


@dataclass(frozen=True, slots=True)
class Shown:
    """Which stored labels are left: all but `dropped`, and of these only `kept` where it is given."""

    dropped: frozenset[str] = frozenset()
    kept: frozenset[str] | None = None

    def has(self, name: str) -> bool:
        """Whether a label is left."""
        return name not in self.dropped and (self.kept is None or name in self.kept)

    def labels(self, labels: Labels) -> Labels:
        """Those of a stream that are left."""
        return labels if self == ALL_SHOWN else tuple(pair for pair in labels if self.has(pair[0]))


ALL_SHOWN = Shown()


class Rows:
    """Rows of a chunk that are still alive; `index` is their positions in it. Immutable but for caches."""

    def __init__(
        self,
        chunk: Chunk,
        index: Index,
        derived: Mapping[str, pa.Array] | None = None,
        line: pa.Array | None = None,
        columns: Mapping[str, pa.Array] | None = None,
        shown: Shown = ALL_SHOWN,
        beside: frozenset[str] = frozenset(),
    ) -> None:
        self.chunk = chunk
        self.index = index
        self.derived = dict(derived or {})
        self.shown = shown
        self.beside = beside  # names of made labels that leave stored ones where they are null
        self._line = line
        self._columns: dict[str, pa.Array] = dict(columns or {})
        self._take: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.index)

    def column(self, name: str) -> pa.Array | None:
        """A stored column of the rows alive."""
        if name not in self._columns:
            some = self.chunk.some_bodies(self.index) if name == "body" else None
            if some is not None:
                self._columns[name] = some
                return some
            whole = self.chunk.column(name)
            if whole is None:
                return None
            self._columns[name] = self._taken(whole)
        return self._columns[name]

    def read_ahead(self, names: Iterable[str]) -> None:
        """Read columns together that will be asked for: cheaper than one by one."""
        lacking = [name for name in names if name not in self._columns]
        self._columns |= self.chunk.some(lacking, self.index)
        self.chunk.read_ahead(name for name in lacking if name not in self._columns)

    def times(self) -> Index:
        """time_ns: int64[rows]."""
        column = self.column("time_ns")
        assert column is not None
        return column.to_numpy()

    def line(self) -> pa.Array:
        """The line as the stages so far left it: string[rows], never null."""
        if self._line is None:
            body = self.column("body")
            self._line = pa.array([""] * len(self)) if body is None else body.fill_null("") if body.null_count else body
        return self._line

    def holding(self, text: str) -> Rows | None:
        """The rows whose line holds a text; None where the line is no more the body, or bodies are at hand."""
        if self._line is not None or "body" in self._columns:
            return None
        found = self.chunk.bodies_holding(text, self.index)
        if found is None:
            return None
        where, bodies = found
        if self._all_in_order:
            return self._with_bodies(where, bodies)
        place = np.full(self.chunk.rows, -1)
        place[self.index] = np.arange(len(self))
        chosen = np.flatnonzero(place[where] >= 0)
        return self._with_bodies(place[where[chosen]], bodies.take(pa.array(chosen)))

    def remembered(self, line_filter: Hashable) -> Rows | None:
        """The rows that a filter of bodies keeps, where that is remembered and lines are still bodies."""
        found = self.chunk.remembered(line_filter) if self._line is None else None
        if found is None:
            return None
        if self._all_in_order:
            return self.take(found)
        mask = np.zeros(self.chunk.rows, np.bool_)
        mask[found] = True
        return self.keep(mask[self.index])

    def remember(self, line_filter: Hashable, kept: Rows) -> None:
        """That of all rows of the chunk a filter of bodies keeps some."""
        if self._line is None and self._all_in_order:
            self.chunk.remember(line_filter, kept.index)

    def _with_bodies(self, at: Index, bodies: pa.Array) -> Rows:
        """The rows at positions `at`, whose bodies (none null) are their lines."""
        held = self.take(at)
        held._columns["body"] = held._line = bodies
        return held

    def lines_at(self, chosen: Index) -> pa.Array:
        """The lines of the rows at positions `chosen`, without reading others where that can be."""
        if self._line is None and "body" not in self._columns:
            return Rows(self.chunk, self.index[chosen]).line()
        return self.line().take(pa.array(chosen))

    def line_fields(self, parser: str, labels: Sequence[str]) -> LineFields | None:
        """What a parser finds of labels in the bodies, whatever the lines are by now; None where that is not kept."""
        whole = self.chunk.line_fields(parser, labels)
        if whole is None or self._all_in_order:
            return whole
        at = pa.array(self.index)
        return LineFields(whole.covered[self.index], {name: v.take(at) for name, v in whole.columns.items()})

    def stream_codes(self) -> Index:
        """The position of each row's stream in `chunk.streams`."""
        return self.chunk.stream_codes[self.index]

    def keep(self, mask: Mask) -> Rows:
        """The rows where `mask` holds."""
        if mask.all():
            return self
        chosen = np.flatnonzero(mask)
        return self.take(chosen)

    def take(self, chosen: Index) -> Rows:
        """The rows at positions `chosen`, in that order."""
        at = pa.array(chosen)
        derived = {k: v.take(at) for k, v in self.derived.items()}
        line = None if self._line is None else self._line.take(at)
        columns = {k: v.take(at) for k, v in self._columns.items()}
        return Rows(self.chunk, self.index[chosen], derived, line, columns, self.shown, self.beside)

    def with_labels(self, labels: Mapping[str, pa.Array], beside: frozenset[str] = frozenset()) -> Rows:
        """The same rows with labels that a stage made; they win over stored ones, but `beside` only where not null."""
        derived, beside = {**self.derived, **labels}, (self.beside - labels.keys()) | beside
        return Rows(self.chunk, self.index, derived, self._line, self._columns, self.shown, beside)

    def showing(self, shown: Shown) -> Rows:
        """The same rows with some labels hidden from later stages and from the answer; made ones are forgotten."""
        derived = {name: array for name, array in self.derived.items() if shown.has(name)}
        return Rows(self.chunk, self.index, derived, self._line, self._columns, shown, self.beside)

    def with_line(self, line: pa.Array) -> Rows:
        """The same rows with another line."""
        return Rows(self.chunk, self.index, self.derived, line, self._columns, self.shown, self.beside)

    def as_stored(self) -> Rows:
        """The same rows without what stages made of them; columns that were read stay."""
        return Rows(self.chunk, self.index, columns=self._columns)

    def label(self, name: str) -> pa.Array | None:
        """A label of each row as string or dictionary of strings, null where the row has none; None where no row has.

        What stages made comes first, then the stream's labels, fixed columns, attributes, and the overflow.
        """
        made = self.derived.get(name)
        return made if made is not None and name not in self.beside else _first([made, self.stored(name)])

    def stored(self, name: str) -> pa.Array | None:
        """The same of what is stored and not hidden, without what stages made."""
        if not self.shown.has(name):
            return None
        found = self.chunk.streams.label(name, self.stream_codes()) if name in self.chunk.streams.names else None
        if found is None or found.null_count:  # some streams have it, in others records do
            found = _first([found, self._stored_label(name)])
        if found is None and name in LABEL_ALIASES:
            return self.stored(LABEL_ALIASES[name])
        return found

    def numbers(self, name: str) -> pa.Array | None:
        """A label's values where one column of numbers holds them, else None."""
        columns = self.chunk.attributes.get(name, [])
        if name in self.derived or not self.shown.has(name) or len(columns) != 1 or OVERFLOW in self.chunk.columns:
            return None
        column = self.column(columns[0])
        numeric = column is not None and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
        return column if numeric else None

    def level_codes(self) -> npt.NDArray[np.uint8]:
        """`detected_level` of each row as positions in LEVELS."""
        number = self.column("severity_number")
        codes = np.zeros(len(self), np.uint8)
        if number is not None:
            known = number.fill_null(0).to_numpy(zero_copy_only=False)
            codes = _LEVEL_OF_NUMBER[np.minimum(known, 25)]
        if not codes.all():
            codes = np.where(codes == 0, self._level_by_text(), codes)
        return codes

    def _level_by_text(self) -> npt.NDArray[np.uint8]:
        text = self.column("severity_text")
        if text is None or text.null_count == len(text):
            return np.zeros(len(self), np.uint8)
        if not pa.types.is_dictionary(text.type):
            text = text.dictionary_encode()
        words = text.dictionary.to_pylist()
        table = np.array([*(LEVEL_WORDS.get((w or "").lower(), 0) for w in words), 0], np.uint8)
        return table[text.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]

    def _stored_label(self, name: str) -> pa.Array | None:
        if name == DETECTED_LEVEL:
            codes = pa.array(self.level_codes().astype(np.int32))
            return pa.DictionaryArray.from_arrays(codes, pa.array(LEVELS))
        if name in FIXED_LABELS:
            found = [self._fixed_label(FIXED_LABELS[name]), self.attribute(name)]
        else:
            found = [self.attribute(name)]
        if OVERFLOW in self.chunk.columns:
            found += self._overflowed(name)
        return _first(found)

    def attribute(self, name: str) -> pa.Array | None:
        """An attribute by its label from columns alone, without the overflow."""
        columns = (self.column(c) for c in self.chunk.attributes.get(name, ()))
        return _first([as_text(c) for c in columns if c is not None and c.null_count < len(c)])

    def _overflowed(self, name: str) -> list[pa.Array]:
        column = self.column(OVERFLOW)
        values = None if column is None else overflow_label(column, name)
        return [] if values is None else [values]

    def _fixed_label(self, name: str) -> pa.Array | None:
        column = self.column(name)
        if column is None or column.null_count == len(column):
            return None
        if pa.types.is_fixed_size_binary(column.type):
            return hex_text(column)
        return column if pa.types.is_dictionary(column.type) else as_text(column)

    @cached_property
    def _all_in_order(self) -> bool:
        return len(self.index) == self.chunk.rows and bool((self.index == np.arange(len(self.index))).all())

    def _taken(self, whole: pa.Array) -> pa.Array:
        if self._all_in_order:
            return whole
        if self._take is None:
            self._take = pa.array(self.index)
        return whole.take(self._take)


_LEVEL_OF_NUMBER = np.array([0, *(1 + i // 4 for i in range(24)), 0], np.uint8)


def _first(found: Sequence[pa.Array | None]) -> pa.Array | None:
    """Of each row the first value there is."""
    there = [array for array in found if array is not None]
    if len(there) <= 1:
        return there[0] if there else None
    return pc.coalesce(*(_plain(array) for array in there))


def _plain(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array


def hex_text(column: pa.Array) -> pa.Array:
    """Ids as hex digits, lower case: string[rows]."""
    return pa.array([None if v is None else v.hex() for v in column.to_pylist()], pa.string())


def encoded(array: pa.Array) -> tuple[Iterable[str | None], npt.NDArray[np.int64]]:
    """An array as distinct values and codes, -1 for null."""
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return array.dictionary.to_pylist(), codes
