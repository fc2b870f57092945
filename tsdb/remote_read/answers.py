"""Selected series → the two answers of remote read: one message of samples, or frames of chunks.

Source: prometheus/prompb remote.proto and types.proto; docs "Remote Read API" for the frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import google_crc32c
import numpy as np
import numpy.typing as npt

from obs.errors import QueryLimit
from obs.model.labels import Labels
from obs.model.ports import SeriesSet
from obs.tsdb.remote_read import encoding, histograms
from obs.tsdb.remote_read.limits import CHUNK_SAMPLES, FRAME_BYTES, MAX_PLAIN_SAMPLES
from obs.tsdb.remote_read.wire import bytes_field, labels_fields, number_field, varint

I64 = npt.NDArray[np.int64]

XOR, FLOAT_HISTOGRAM = 1, 3
"""Chunk.Encoding."""


def query_result(found: Iterable[SeriesSet]) -> bytes:
    """`QueryResult results = 1` of a ReadResponse: 1 timeseries. Raises: QueryLimit."""
    parts: list[bytes] = []
    samples = 0
    for part in found:
        samples += len(part.values)
        if samples > MAX_PLAIN_SAMPLES:
            raise QueryLimit(
                f"cannot answer with more than {MAX_PLAIN_SAMPLES} samples in one message: "
                "ask for less time, or accept STREAMED_XOR_CHUNKS"
            )
        parts += (bytes_field(1, series) for series in _time_series(part))
    return bytes_field(1, b"".join(parts))


def _time_series(found: SeriesSet) -> Iterator[bytes]:
    """TimeSeries: 1 labels, 2 samples, 4 histograms."""
    is_hist = _is_hist(found)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(~is_hist)])
    bounds = before[found.offsets]
    samples = encoding.samples(bounds[:-1], bounds[1:], found.t_ms[~is_hist], found.values[~is_hist])
    for i, labels in enumerate(found.labels):
        yield labels_fields(labels) + samples[i] + b"".join(_histograms(found, is_hist, i))


def _histograms(found: SeriesSet, is_hist: npt.NDArray[np.bool_], i: int) -> Iterator[bytes]:
    if found.hists is None:
        return
    first, end = int(found.offsets[i]), int(found.offsets[i + 1])
    for row in (first + np.flatnonzero(is_hist[first:end])).tolist():
        yield bytes_field(4, histograms.message(int(found.t_ms[row]), found.hists[row]))


def frames(query: int, found: Iterable[SeriesSet]) -> Iterator[bytes]:
    """Frames of one query's series: size, CRC32C, ChunkedReadResponse; a series each, a large one in several."""
    for part in found:
        for labels, chunks in _chunked(part):
            for few in _by_size(chunks):
                yield _frame(query, labels, few)


def _frame(query: int, labels: Labels, chunks: Iterable[bytes]) -> bytes:
    """ChunkedReadResponse: 1 chunked series (1 labels, 2 chunks), 2 query index."""
    series = labels_fields(labels) + b"".join(chunks)
    data = bytes_field(1, series) + (number_field(2, query) if query else b"")
    return varint(len(data)) + google_crc32c.value(data).to_bytes(4, "big") + data


def _by_size(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Chunks in lists of no more than a frame's bytes."""
    few: list[bytes] = []
    size = 0
    for chunk in chunks:
        if few and size + len(chunk) > FRAME_BYTES:
            yield few
            few, size = [], 0
        few.append(chunk)
        size += len(chunk)
    yield few


def _chunked(found: SeriesSet) -> Iterator[tuple[Labels, list[bytes]]]:
    """Each series with its chunks: `Chunk chunks = 2`, in the order of time."""
    is_hist = _is_hist(found)
    starts, stops = runs(found.offsets, is_hist)
    floats = ~is_hist[starts]
    xor = iter(encoding.chunks(starts[floats], stops[floats], found.t_ms, found.values))
    of_series = np.searchsorted(starts, found.offsets).tolist()
    first, last = found.t_ms[starts].tolist(), found.t_ms[stops - 1].tolist()
    row, is_xor = starts.tolist(), floats.tolist()
    for i, labels in enumerate(found.labels):
        chunks = []
        for k in range(of_series[i], of_series[i + 1]):
            if is_xor[k] or found.hists is None:
                chunks.append(_chunk(first[k], last[k], XOR, next(xor)))
            else:
                data = histograms.chunk(first[k], found.hists[row[k]])
                chunks.append(_chunk(first[k], last[k], FLOAT_HISTOGRAM, data))
        yield labels, chunks


def _chunk(first_ms: int, last_ms: int, kind: int, data: bytes) -> bytes:
    """1 min time, 2 max time, 3 type, 4 data."""
    inner = number_field(1, first_ms) + number_field(2, last_ms) + number_field(3, kind) + bytes_field(4, data)
    return bytes_field(2, inner)


def _is_hist(found: SeriesSet) -> npt.NDArray[np.bool_]:
    if found.hists is None:
        return np.zeros(len(found.values), np.bool_)
    return np.fromiter((h is not None for h in found.hists), np.bool_, len(found.hists))


def runs(offsets: I64, is_hist: npt.NDArray[np.bool_]) -> tuple[I64, I64]:
    """Where chunks start and stop: with each series, around each histogram, and after so many samples of either."""
    rows = np.arange(len(is_hist))
    edge = np.zeros(len(is_hist), np.bool_)
    edge[offsets[:-1]] = True
    edge |= is_hist
    edge[1:] |= is_hist[:-1]
    since = rows - np.maximum.accumulate(np.where(edge, rows, 0))
    starts = np.flatnonzero(edge | (since % CHUNK_SAMPLES == 0))
    return starts, np.append(starts[1:], len(is_hist))
