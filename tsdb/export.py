"""`/api/v1/export`: the samples of a selector as an Arrow IPC stream, sorted by labels, then time; bit by bit.

Columns: `labels` (JSON objects, a dictionary that changes from batch to batch), `t_ms`, `value`, and `histogram` (null
where a sample is a float). The answer is as large as its data, the memory it takes is that of one slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import orjson
import pyarrow as pa
from fastapi import Response
from fastapi.responses import StreamingResponse

from obs.errors import QueryError
from obs.model.ports import SeriesSet
from obs.model.schema import HISTOGRAMS
from obs.tsdb.histograms import to_rows
from obs.tsdb.params import Params
from obs.tsdb.store import MetricStore

BATCH_ROWS = 1 << 16
"""Rows of a batch: 1.3 MB on the wire, so that a reader needs little memory as well."""

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
HISTOGRAM = pa.struct([field.with_nullable(True) for field in list(HISTOGRAMS)[2:]])
SCHEMA = pa.schema(
    [
        pa.field("labels", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("t_ms", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("histogram", HISTOGRAM),
    ]
)


def export(store: MetricStore, given: Params) -> Response:
    """Everything that `match[]` selects from `start` to `end`. Raises: QueryError."""
    selectors = given.selectors()
    if len(selectors) != 1:
        raise QueryError(f'cannot export {len(selectors)} selectors: give one match[], such as {{job=~".+"}}')
    found = _messages(store.slices(selectors[0], *given.span()))
    first = next(found)  # what is wrong with the query is told before the answer has begun
    return StreamingResponse(chain([first], found), media_type=MEDIA_TYPE)


def _messages(slices: Iterator[SeriesSet]) -> Iterator[bytes]:
    """The stream in pieces: the schema with the first batch, then each batch."""
    sink = _Pieces()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), SCHEMA) as writer:
        for found in slices:
            for batch in batches(found):
                writer.write_batch(batch)
                yield sink.take()
    yield sink.take()


def batches(found: SeriesSet) -> Iterator[pa.RecordBatch]:
    """A slice's rows; a batch has the labels of its own series only."""
    series_of = np.repeat(np.arange(len(found.labels), dtype=np.int32), np.diff(found.offsets))
    for start in range(0, len(series_of), BATCH_ROWS):
        stop = min(start + BATCH_ROWS, len(series_of))
        first, last = int(series_of[start]), int(series_of[stop - 1])
        texts = [orjson.dumps(dict(found.labels[i])).decode() for i in range(first, last + 1)]
        labels = pa.DictionaryArray.from_arrays(pa.array(series_of[start:stop] - first), pa.array(texts))
        rows = (labels, pa.array(found.t_ms[start:stop]), pa.array(found.values[start:stop]))
        yield pa.RecordBatch.from_arrays([*rows, _histograms(found, start, stop)], schema=SCHEMA)


def _histograms(found: SeriesSet, start: int, stop: int) -> pa.Array:
    hists = None if found.hists is None else found.hists[start:stop]
    native = [] if hists is None else [i for i, h in enumerate(hists) if h is not None]
    if hists is None or not native:
        return pa.nulls(stop - start, HISTOGRAM)
    rows = to_rows([0] * len(native), [0] * len(native), [hists[i] for i in native])
    places = np.full(stop - start, -1)
    places[native] = np.arange(len(native))
    held = pa.StructArray.from_arrays(rows.columns[2:], fields=list(HISTOGRAM))
    return held.take(pa.array(places, mask=places < 0))


class _Pieces:
    """A file that is written to, and emptied after each batch."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is behind this."""

    def take(self) -> bytes:
        """All since the last time."""
        joined = b"".join(self._parts)
        self._parts.clear()
        return joined
