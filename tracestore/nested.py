"""Fields of a span's events and links, one entry an event or link, beside the row of the span that has it.

Attributes of events are JSON text: each distinct text is read once, and only if it names the key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.tracestore.comparing import typed_columns
from obs.tracestore.expressions import OfEach

if TYPE_CHECKING:
    from obs.tracestore.evaluate import SpanRows

Rows = npt.NDArray[np.int64]
Columns = list[tuple[pa.Array, str]]
FIXED = {"event": (":name", ":timeSinceStart"), "link": (":spanID", ":traceID")}
"""The fields that every event or link has, as they are written behind its name."""

_COLUMN = {"event": "events", "link": "links"}
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def each(field: OfEach, rows: SpanRows) -> tuple[Rows, Columns]:
    """(row of the span, columns) of all events or links of the rows."""
    column = rows.column(_COLUMN[field.list])
    if column is None or not len(column):
        return np.zeros(0, np.int64), []
    owner = np.asarray(pc.list_parent_indices(column)).astype(np.int64)
    return owner, _columns(field, column.flatten(), owner, rows)


def _columns(field: OfEach, items: pa.StructArray, owner: Rows, rows: SpanRows) -> Columns:
    if field.name == ":name":
        return [(pc.struct_field(items, "name"), "str")]
    if field.name == ":timeSinceStart":
        times = pc.struct_field(items, "time_ns").fill_null(0).to_numpy(zero_copy_only=False)
        return [(pa.array(times - rows.numbers("start_ns")[owner]), "int")]
    if field.name in (":spanID", ":traceID"):
        return [(hex_text(pc.struct_field(items, "span_id" if field.name == ":spanID" else "trace_id")), "str")]
    return _of_json(pc.struct_field(items, "attributes"), field.name)


def _of_json(texts: pa.Array, key: str) -> Columns:
    """What the objects hold under a key, a column a type."""
    encoded = texts.dictionary_encode()
    named = pc.match_substring(encoded.dictionary, json.dumps(key, ensure_ascii=False)[1:-1])
    values = [_under(key, t) if hit else None for t, hit in zip(encoded.dictionary.to_pylist(), named, strict=True)]
    return [(column.take(encoded.indices), type_) for column, type_ in typed_columns(values)]


def _under(key: str, text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found.get(key) if isinstance(found, dict) else None


def first_of_each(field: OfEach, rows: SpanRows) -> Columns:
    """For each span the value of its first event or link that has one of a type."""
    owner, columns = each(field, rows)
    found: Columns = []
    for column, type_ in columns:
        valid = np.flatnonzero(np.asarray(column.is_valid()))[::-1]
        at = np.full(len(rows), -1)
        at[owner[valid]] = valid
        found.append((column.take(pa.array(at, mask=at < 0)), type_))
    return found


def hex_text(ids: pa.Array) -> pa.Array:
    """Binary ids of one width as lower-case hex."""
    width = ids.type.byte_width
    filled = ids.fill_null(bytes(width)) if ids.null_count else ids
    raw = np.frombuffer(filled.buffers()[1], np.uint8)[filled.offset * width :][: len(ids) * width]
    digits = np.empty((len(raw), 2), np.uint8)
    digits[:, 0], digits[:, 1] = _HEX[raw >> 4], _HEX[raw & 15]
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * (2 * width)
    made = pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(digits.tobytes()))
    return pc.if_else(ids.is_valid(), made, pa.scalar(None, pa.string())) if ids.null_count else made
