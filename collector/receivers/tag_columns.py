"""The tags of many spans as columns: spans with the same keys are turned at once.

What tags say of status, kind and scope is taken out of them, as is done span by span.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.batch import Batch, Decoded, Signal
from obs.model.schema import MAX_ATTRIBUTE_COLUMNS, SPANS, attribute_column, column_type
from obs.otlp.spans import KINDS, UNSPECIFIED

Column = list[Any]
"""A value a row, None where there is none."""

Cells = dict[tuple[str, str, str], Column]
"""Columns of attributes by (scope, key, type)."""

_CODE, _DESCRIPTION, _ERROR, _KIND = "otel.status_code", "otel.status_description", "error", "span.kind"


Ids = npt.NDArray[np.uint64]

MAX_CELLS = 20_000_000
"""Rows times columns of one body: eight bytes each while they are filled. Past it spans are read one by one, where only
what is there takes memory."""

_TYPES = {bool: "bool", int: "int", float: "float", bytes: "bytes"}


class Unusual(Exception):
    """A body has what columns do not know."""


def of_types(values: list[Any], *types: type) -> list[Any]:
    """The values, if all are of these types. Raises: Unusual."""
    if not set(map(type, values)) <= {*types}:
        raise Unusual
    return values


@dataclass(slots=True)
class TagColumns:
    """Texts by key; what is no text is apart, by key and type."""

    rows: int
    texts: dict[str, Column]
    others: Cells

    @classmethod
    def of(cls, tags: Sequence[dict[str, Any] | None], rows: int, texts_only: bool = False) -> TagColumns:
        """Raises: Unusual where a value has no type of its own, or is no text where all have to be."""
        alike: dict[tuple[str, ...], list[int]] = {}
        for row, own in enumerate(tags):
            if own:
                alike.setdefault(tuple(own), []).append(row)
        found = cls(rows, {}, {})
        for keys, of_rows in alike.items():
            values = zip(*[tags[row].values() for row in of_rows], strict=True)  # type: ignore[union-attr]
            for key, column in zip(keys, values, strict=True):
                found._put(key, of_rows, list(column), texts_only)
        return found

    def _put(self, key: str, rows: list[int], values: Column, texts_only: bool) -> None:
        types = set(map(type, values))
        if types == {str}:
            if len(rows) == self.rows:
                self._fits()
                self.texts[key] = values
            else:
                _scatter(self._column(self.texts, key), rows, values)
            return
        if texts_only or not types <= {str, *_TYPES}:
            raise Unusual
        for type_ in types:
            some = [(row, value) for row, value in zip(rows, values, strict=True) if type(value) is type_]
            column = (
                self._column(self.texts, key)
                if type_ is str
                else self._column(self.others, ("attr", key, _TYPES[type_]))
            )
            _scatter(column, [row for row, _ in some], [value for _, value in some])

    def _column(self, columns: dict[Any, Column], key: Any) -> Column:
        column = columns.get(key)
        if column is None:
            self._fits()
            column = columns[key] = [None] * self.rows
        return column

    def _fits(self) -> None:
        """Raises: Unusual where one column more would be too many: each has a place for every row."""
        columns = len(self.texts) + len(self.others) + 1
        if columns > MAX_ATTRIBUTE_COLUMNS or columns * self.rows > MAX_CELLS:
            raise Unusual

    def taken(self, *keys: str) -> Column | None:
        """The text of the first of these tags, which then are tags no longer; None where it is empty."""
        columns = [column for key in keys if (column := self.texts.pop(key, None)) is not None]
        if not columns:
            return None
        first, *others = columns
        for other in others:
            first = [b if a is None else a for a, b in zip(first, other, strict=True)]
        return [value or None for value in first]

    def status(self, status_of: Callable[[dict[str, Any]], tuple[int, str]]) -> tuple[Column, Column | None]:
        """Codes and messages; `status_of` takes them out of one span's tags."""
        codes: Column = [0] * self.rows
        known = {key: column for key in (_CODE, _DESCRIPTION, _ERROR) if (column := self.texts.get(key)) is not None}
        told = self.others.get(("attr", _ERROR, "bool"))
        if not known and told is None:
            return codes, None
        messages: Column = [None] * self.rows
        for row in range(self.rows):
            own = {key: column[row] for key, column in known.items() if column[row] is not None}
            if told is not None and told[row] is not None:
                own[_ERROR] = told[row]
            if own:
                codes[row], message = status_of(own)
                messages[row] = message or None
                self._forget_error(row, own)
        self.texts.pop(_CODE, None)
        self.texts.pop(_DESCRIPTION, None)
        return codes, messages

    def _forget_error(self, row: int, own: Mapping[str, Any]) -> None:
        """Where the status says it all."""
        if _ERROR not in own:
            for column in (self.texts.get(_ERROR), self.others.get(("attr", _ERROR, "bool"))):
                if column is not None:
                    column[row] = None

    def kinds(self, kinds: Column) -> None:
        """Kinds that are not known, by their tag."""
        said = self.texts.get(_KIND)
        for row in range(self.rows) if said is not None else ():
            if said is not None and kinds[row] == UNSPECIFIED and said[row] is not None:
                kinds[row] = KINDS.get(said[row], UNSPECIFIED)
                said[row] = None

    def out(self, prefixes: tuple[str, ...]) -> dict[str, Column]:
        """The columns whose keys begin so, which then are tags no longer."""
        return {key: self.texts.pop(key) for key in list(self.texts) if key.startswith(prefixes)}

    def add(self, key: str, values: Column, type_: str = "str") -> None:
        """Values of a type, in rows where there is no tag of this key."""
        if values.count(None) == len(values):
            return
        had = self.texts.get(key)
        if type_ == "str":
            self.texts[key] = (
                values if had is None else [v if h is None else h for v, h in zip(values, had, strict=True)]
            )
        else:
            own = values if had is None else [v if h is None else None for v, h in zip(values, had, strict=True)]
            self.others["attr", key, type_] = own

    def cells(self) -> Cells:
        """All that is left."""
        return {("attr", key, "str"): column for key, column in self.texts.items()} | self.others


def _scatter(column: Column, rows: list[int], values: Column) -> None:
    for row, value in zip(rows, values, strict=True):
        column[row] = value


def batch_of(rows: int, fixed: Mapping[str, Any], cells: Cells) -> Decoded:
    """The batch of fixed columns and attributes. Raises: Unusual where these are too many."""
    found = sorted((attribute_column(*key), key, column) for key, column in cells.items() if _any(column))
    if len(found) > MAX_ATTRIBUTE_COLUMNS:
        raise Unusual
    arrays = [_array(fixed.get(field.name), field.type, rows) for field in SPANS]
    types = [column_type(scope, type_) for _, (scope, _, type_), _ in found]
    arrays += [_array(column, type_, rows) for (_, _, column), type_ in zip(found, types, strict=True)]
    fields = [*SPANS, *(pa.field(name, type_) for (name, _, _), type_ in zip(found, types, strict=True))]
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
    return Decoded(Batch(Signal.TRACES, {"spans": batch}), {})


def _any(column: Column) -> bool:
    return column[0] is not None or any(value is not None for value in column)


def _array(values: Any, type_: pa.DataType, rows: int) -> pa.Array:
    """A column; None: one that the protocol has not."""
    if isinstance(values, pa.Array):
        return values
    if values is None:
        if pa.types.is_list(type_):
            return pa.array([[]] * rows, type_)
        counts = pa.types.is_unsigned_integer(type_)
        return pa.array(np.zeros(rows, np.uint32)) if counts else pa.array([None] * rows, type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, type_)


def id_array(ids: Ids, known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """A column of ids, uint64[rows, words]; null where not `known`."""
    size = 8 * ids.size // len(ids)
    valid = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), len(ids), [valid, pa.py_buffer(ids.astype(">u8"))])
