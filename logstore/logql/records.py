"""The records of a log query as values: line, stream, and every attribute as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.logstore.cells import SEVERITY
from obs.logstore.chunks import Rows
from obs.logstore.names import DETECTED_LEVEL, FIXED_LABELS
from obs.logstore.overflow import overflow_pairs
from obs.model.labels import Labels
from obs.model.schema import OVERFLOW

_LABELS = (DETECTED_LEVEL, *(name for name in FIXED_LABELS))
_DEFAULTS = {"flags": "0", "severity_number": "0"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One record; `metadata` is all it carries beside its stream's labels, `parsed` what stages made of its line."""

    time_ns: int
    line: str
    stream: Labels
    metadata: Mapping[str, str]
    parsed: Mapping[str, str]


def entries_of(rows: Rows, times: npt.NDArray[np.int64]) -> Iterator[LogEntry]:
    """Rows as entries, in their order; reads every column of their chunk."""
    lines = rows.line().to_pylist()
    codes, known = rows.stream_codes().tolist(), rows.chunk.streams.streams
    owners = {code: _own(rows, known[code][1]) for code in set(codes)}
    streams = [owners[code] for code in codes]
    metadata = _metadata(rows)
    parsed: list[dict[str, str]] = [{} for _ in lines]
    for name, array in rows.derived.items():
        values = array.to_pylist()
        _spread(parsed, name, values)
        for row, value in enumerate(values):
            if not value and name not in rows.beside:
                metadata[row].pop(name, None)  # hidden
    rows.chunk.release()
    for i, time_ns in enumerate(times.tolist()):
        yield LogEntry(time_ns, lines[i], streams[i], metadata[i], parsed[i])


def _own(rows: Rows, labels: Labels) -> Labels:
    """The labels of a stream that no stage hid or made anew."""
    anew = rows.derived.keys() - rows.beside
    return tuple(pair for pair in rows.shown.labels(labels) if pair[0] not in anew)


def _metadata(rows: Rows) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{} for _ in range(len(rows))]
    of_stream, streams = rows.chunk.streams.names, rows.chunk.streams.streams
    names = [
        name for name in (*_LABELS, *rows.chunk.attributes) if rows.shown.has(name) and not _only_of_streams(rows, name)
    ]
    stored = rows.as_stored()
    stored.read_ahead(dict.fromkeys(c for name in names for c in _columns(rows, name)))
    codes = rows.stream_codes().tolist()
    for name in names:
        array = stored.label(name) if name in _LABELS else stored.attribute(name)
        if array is not None:
            values = array.to_pylist()
            if name in of_stream:
                has = {code: name in dict(streams[code][1]) for code in set(codes)}
                values = [None if has[c] else v for c, v in zip(codes, values, strict=True)]
            _spread(found, name, values)
    overflow = stored.column(OVERFLOW)
    if overflow is not None:
        for row, name, value in overflow_pairs(overflow):
            if rows.shown.has(name):
                found[row].setdefault(name, value)
    return found


def _only_of_streams(rows: Rows, name: str) -> bool:
    """Whether a label is one of streams alone, no record's own."""
    columns = rows.chunk.attributes.get(name, ())
    return name in rows.chunk.streams.names and all(c.startswith("resource.") for c in columns)


def _columns(rows: Rows, name: str) -> list[str]:
    """The columns that a label is read from."""
    fixed = SEVERITY if name == DETECTED_LEVEL else [FIXED_LABELS[name]] if name in FIXED_LABELS else []
    return [*fixed, *rows.chunk.attributes.get(name, ()), *((OVERFLOW,) if OVERFLOW in rows.chunk.columns else ())]


def _spread(found: list[dict[str, str]], name: str, values: list[str | None]) -> None:
    usual = _DEFAULTS.get(name)
    for labels, value in zip(found, values, strict=True):
        if value and value != usual:
            labels[name] = value
