"""The values of wanted labels in lines of JSON or logfmt by a kernel: what a parser finds, some twenty times as fast.

In: lines, a parser, labels. Out: a column a label, and the rows whose columns are what the parser would say; the other
rows hold something odd and are parsed one by one by whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.logstore.indexing import KERNELS, text_buffers

JSON, LOGFMT = "json", "logfmt"
PARSERS = (JSON, LOGFMT)
ODD_LABELS = ("__error__", "__error_details__", "__preserve_error__")
"""Labels that mean something to later stages: a line that has one is left to the parser."""

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LineFields:
    """Of each label that some row has its values, null where a row has none or is not covered: string[rows]."""

    covered: Mask
    columns: Mapping[str, pa.Array]


def extract(lines: pa.Array, parser: str, labels: Sequence[str]) -> LineFields | None:
    """The values of labels in lines (no null); None while the kernels are not ready, or of lines past 2 GB."""
    if lines.type != pa.string() or not warm.ready(KERNELS):
        return None
    data, start, stop, covered = spans(lines, parser, labels)
    found = {name: texts_at(data, start[k], stop[k]) for k, name in enumerate(labels)}
    return LineFields(covered, {name: array for name, array in found.items() if array.null_count < len(array)})


def spans(lines: pa.Array, parser: str, labels: Sequence[str]) -> tuple[npt.NDArray[np.uint8], Index, Index, Mask]:
    """The lines' bytes, where each label's values begin and end (int64[labels, rows]), and the rows covered."""
    from obs.logstore.kernels_fields import json_fields, logfmt_fields, name_places

    data, offsets = text_buffers(lines)
    if data.size == 0:
        data = np.zeros(1, np.uint8)
    data.flags.writeable = False  # one type for the kernels
    named = [name.encode() for name in (*labels, *ODD_LABELS)]
    names = np.frombuffer(b"".join(named), np.uint8)
    name_at = np.cumsum([0, *map(len, named)])
    places = np.full(1 << (2 * len(named)).bit_length(), -1, np.int64)
    name_places(names, name_at, places)
    start = np.full((len(named), len(lines)), -1, np.int64)
    stop = np.empty((len(named), len(lines)), np.int64)
    covered = np.zeros(len(lines), np.bool_)
    find: Any = json_fields if parser == JSON else logfmt_fields
    find(data, offsets, names, name_at, places, len(labels), start, stop, covered)
    return data, start, stop, covered


def texts_at(data: npt.NDArray[np.uint8], start: Index, stop: Index) -> pa.Array:
    """data[start:stop] of each row, null where start is -1: string[rows]."""
    from obs.logstore.kernels_fields import cut_out

    ends = np.zeros(len(start) + 1, np.int32)
    there = start >= 0
    texts = np.empty(int((stop[there] - start[there]).sum()), np.uint8)
    cut_out(data, start, stop, ends, texts)
    nulls = len(start) - int(np.count_nonzero(there))
    validity = pa.array(there).buffers()[1] if nulls else None
    return pa.Array.from_buffers(pa.string(), len(start), [validity, pa.py_buffer(ends), pa.py_buffer(texts)], nulls)
