"""CSV with a header: a time, a value, and what says the series: `metric`, one column a label, or JSON in `labels`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from obs.errors import UserError
from obs.interchange.faults import Faults, Unreadable
from obs.interchange.limits import LINE_BYTES
from obs.interchange.nans import STALE_TEXT
from obs.interchange.pieces import Draft, LabelSets, Piece
from obs.interchange.times import NAMES, read_time
from obs.model.labels import METRIC_NAME, Labels
from obs.model.stale import STALE


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a file has what."""

    time: int
    value: int
    unit: str | None
    labels: tuple[tuple[int, str], ...]  # a column and the label that it holds
    json: int | None
    width: int
    key: Callable[[Sequence[str]], Hashable]  # the cells of a row that say its series


def read(file: str, lines: Iterable[tuple[int, bytes]], sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """Pieces of the samples; rows that are none go to `faults`. Raises: UserError where the header names no columns."""
    csv.field_size_limit(LINE_BYTES)
    texts = _Texts(lines)
    rows = csv.reader(texts, strict=True)
    columns = header(file, next(rows, []))
    draft = Draft()
    while True:
        texts.begin_row()
        try:
            row = next(rows)
            place, t_ms, value = _sample(row, columns, sets, draft)
        except StopIteration:
            break
        except _Blank:
            continue
        except csv.Error as e:
            faults.add(file, texts.first, Unreadable("line", texts.row, str(e)))
            continue
        except Unreadable as e:
            e.column = _start(texts.row, e.column)
            faults.add(file, texts.first, e)
            continue
        draft.which.append(place)
        draft.t_ms.append(t_ms)
        draft.values.append(value)
        if draft.is_full:
            yield draft.take()
    yield draft.take()


def header(file: str, names: Sequence[str]) -> Columns:
    """The columns by name. Raises: UserError."""
    names = [name.strip().removeprefix("\ufeff") for name in names]
    times = [i for i, name in enumerate(names) if name in NAMES]
    if len(times) != 1 or names.count("value") != 1:
        wanted = "it needs one column named time (or time_s, time_ms, time_us, time_ns) and one named value"
        raise UserError(f"cannot read header {','.join(names)!r} of {file!r}: {wanted}; rename its columns")
    taken = {*times, names.index("value"), *([names.index("labels")] if "labels" in names else [])}
    own = tuple((i, METRIC_NAME if name == "metric" else name) for i, name in enumerate(names) if i not in taken)
    json_at = names.index("labels") if "labels" in names else None
    keys = [i for i, _ in own] + ([] if json_at is None else [json_at])
    key = itemgetter(*keys) if keys else lambda _: None
    return Columns(times[0], names.index("value"), NAMES[names[times[0]]], own, json_at, len(names), key)


def json_pairs(text: str) -> list[tuple[str, str]]:
    """The labels of a JSON object. Raises: Unreadable."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        raise Unreadable("labels", text, "they are no JSON") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Unreadable("labels", text, "they are no JSON object of strings")
    return list(found.items())


class _Blank(Exception):
    """A line without a cell."""


class _Texts:
    """The lines for the csv module, with the text and the number of the first line of the row that is being read."""

    def __init__(self, lines: Iterable[tuple[int, bytes]]) -> None:
        self._lines = iter(lines)
        self.begin_row()

    def begin_row(self) -> None:
        """From here on a new row."""
        self.row, self.first = "", 0

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            text = line.decode("utf-8", "surrogateescape") + "\n"
            self.first = self.first or number
            self.row += text
            yield text


def _sample(row: Sequence[str], columns: Columns, sets: LabelSets, draft: Draft) -> tuple[int, int, float]:
    """Series, time and value of a row. Raises: Unreadable, its column being the number of the cell."""
    if not row:
        raise _Blank
    if len(row) != columns.width:
        cause = f"it has {len(row)} cells, the header has {columns.width}"
        raise Unreadable("line", ",".join(row), cause, min(len(row), columns.width))
    try:
        key = columns.key(row)
        place = draft.places.get(key)
        if place is None:
            place = draft.place(key, lambda: _labels(row, columns, sets))
    except Unreadable as e:
        e.column = 1 + (columns.json if columns.json is not None else min((i for i, _ in columns.labels), default=0))
        raise
    try:
        t_ms = read_time(row[columns.time].strip(), columns.unit)
    except Unreadable as e:
        e.column = columns.time + 1
        raise
    return place, t_ms, _value(row[columns.value], columns.value + 1)


def _value(text: str, column: int) -> float:
    try:
        if "_" in text:
            raise ValueError
        return float(text)
    except ValueError:
        if text == STALE_TEXT:
            return STALE
        raise Unreadable("value", text, "it is no number", column) from None


def _labels(row: Sequence[str], columns: Columns, sets: LabelSets) -> Labels:
    pairs = [(name, row[i]) for i, name in columns.labels if row[i]]
    if columns.json is not None:
        pairs += json_pairs(row[columns.json])
    try:
        "".join(value for _, value in pairs).encode()
    except UnicodeEncodeError:
        raise Unreadable("labels", ascii(row), "they are not UTF-8") from None
    return sets.make(pairs)


def _start(text: str, cell: int) -> int:
    """The column, from 1, at which a cell begins in the text of a row."""
    is_quoted = False
    for at, char in enumerate(text):
        if cell == 1:
            return at + 1
        is_quoted ^= char == '"'
        cell -= char == "," and not is_quoted
    return 1
