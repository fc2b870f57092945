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


@dataclass(frozen=True, slots=True)
class Found:
    """Where values stand: data[start[k, row] : stop[k, row]] is that of label k (start -1: none), if `covered[row]`."""

    data: npt.NDArray[np.uint8]
    start: Index
    stop: Index
    covered: Mask

    def texts(self) -> list[pa.Array]:
        """The values of each label, null where a row has none: string[rows]."""
        from obs.logstore.kernels_fields import cut_out

        labels, rows = self.start.shape
        start, stop = self.start.reshape(-1), self.stop.reshape(-1)
        ends = np.zeros(labels * rows + 1, np.int32)
        texts = np.empty(int(cut_out(self.data, start, stop, ends, np.empty(0, np.uint8))), np.uint8)
        cut_out(self.data, start, stop, ends, texts)
        there = self.start >= 0
        counts = np.count_nonzero(there, axis=1)
        bits, values = np.packbits(there, axis=1, bitorder="little"), pa.py_buffer(texts)
        found = []
        for k in range(labels):
            nulls = rows - int(counts[k])
            validity = pa.py_buffer(bits[k]) if nulls else None
            offsets = pa.py_buffer(ends[k * rows : (k + 1) * rows + 1])
            found.append(pa.Array.from_buffers(pa.string(), rows, [validity, offsets, values], nulls))
        return found


def extract(lines: pa.Array, parser: str, labels: Sequence[str]) -> LineFields | None:
    """The values of labels in lines (no null); None while the kernels are not ready, or of lines past 2 GB."""
    if lines.type != pa.string() or not warm.ready(KERNELS):
        return None
    found = find(lines, (parser,), labels)
    texts = dict(zip(labels, found.texts(), strict=True))
    return LineFields(found.covered, {name: array for name, array in texts.items() if array.null_count < len(array)})


def find(
    lines: pa.Array, parsers: Sequence[str], labels: Sequence[str], codes: npt.NDArray[np.int32] | None = None
) -> Found:
    """What the first of `parsers` that covers a line finds in it; its position goes to `codes` (-1 where none does)."""
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
    start = np.full((len(labels), len(lines)), -1, np.int64)
    stop = np.empty((len(labels), len(lines)), np.int64)
    covered = np.zeros(len(lines), np.bool_)
    for at, parser in enumerate(parsers):
        by: Any = json_fields if parser == JSON else logfmt_fields
        by(data, offsets, names, name_at, places, len(labels), start, stop, covered)
        if codes is not None:
            codes[covered & (codes < 0)] = at
    return Found(data, start, stop, covered)
