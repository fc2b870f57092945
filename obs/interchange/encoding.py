"""A piece → a body of remote write 1.0 (not yet compressed), or a batch for a store. Vectorised: nothing per sample.

Source: prometheus/prompb remote.proto and types.proto; docstrings give the field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.interchange.pieces import F64, I64, Family, Piece
from obs.model.batch import Batch, Signal
from obs.model.labels import Labels, labels_id
from obs.model.schema import HISTOGRAMS, METADATA, SAMPLES, SERIES
from obs.tsdb.remote_read.wire import bytes_field, double_field, doubles_field, labels_fields, number_field, zigzag

HEAD, VARINT = 11, 10
"""Bytes of a sample before its time: tag, size, tag, double, tag are 1, 1, 1, 8, 1; a varint takes ten at most."""

TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5, "info": 6, "stateset": 7}
"""MetricMetadata.MetricType."""


def body(piece: Piece) -> bytes:
    """WriteRequest: 1 timeseries, 3 metadata."""
    parts = [bytes_field(1, series) for series in _time_series(piece)]
    return b"".join(parts + [bytes_field(3, _metadata(family)) for family in piece.families])


def _time_series(piece: Piece) -> Iterator[bytes]:
    """TimeSeries: 1 labels, 2 samples, 4 histograms."""
    order = np.argsort(piece.which, kind="stable")
    is_hist = np.zeros(len(piece), np.bool_) if piece.hists is None else np.array(piece.hists.is_valid())
    floats = order[~is_hist[order]]
    data, ends = samples(piece.t_ms[floats], piece.values[floats])
    places = np.arange(len(piece.series) + 1)
    bounds = ends[np.searchsorted(piece.which[floats], places)].tolist()
    hists = order[is_hist[order]]
    hist_bounds = np.searchsorted(piece.which[hists], places).tolist()
    for i, labels in enumerate(piece.series):
        few = hists[hist_bounds[i] : hist_bounds[i + 1]].tolist()
        natives = b"".join(_histogram(piece, row) for row in few)
        if natives or bounds[i + 1] > bounds[i]:
            yield labels_fields(labels) + data[bounds[i] : bounds[i + 1]] + natives


def samples(t_ms: I64, values: F64) -> tuple[bytes, I64]:
    """`Sample samples = 2` (1 value, 2 timestamp) of all, and at which byte each begins and the last ends."""
    n = len(t_ms)
    out = np.zeros((n, HEAD + 1 + VARINT), np.uint8)
    times, length = _varints(t_ms)
    out[:, 0], out[:, 1], out[:, 2], out[:, HEAD] = 0x12, 10 + length, 0x09, 0x10
    out[:, 3:HEAD] = values.astype("<f8").view(np.uint8).reshape(n, 8)
    out[:, HEAD + 1 :] = times
    kept = np.arange(out.shape[1]) < (HEAD + 1 + length)[:, None]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(HEAD + 1 + length)])
    return out[kept].tobytes(), ends


def _varints(numbers: I64) -> tuple[npt.NDArray[np.uint8], I64]:
    """uint8[n, 10] of varints, and how many bytes each has."""
    rest = numbers.view(np.uint64)[:, None] >> (np.arange(VARINT, dtype=np.uint64) * np.uint64(7))
    length = np.maximum((rest != 0).sum(axis=1), 1).astype(np.int64)
    groups = (rest & np.uint64(127)).astype(np.uint8)
    groups[np.arange(VARINT) < (length - 1)[:, None]] |= 128
    return groups, length


def _histogram(piece: Piece, row: int) -> bytes:
    """`Histogram histograms = 4`, of floats: 2 count, 3 sum, 4 schema, 5 zero threshold, 7 zero count, 8 and 10 spans
    and counts of negative buckets, 11 and 13 of positive ones, 14 reset hint, 15 timestamp, 16 custom values.
    """
    assert piece.hists is not None
    h: Mapping[str, Any] = piece.hists[row].as_py()
    message = b"".join((
        double_field(2, h["count"]), double_field(3, h["sum"]), number_field(4, zigzag(h["schema"])),
        double_field(5, h["zero_threshold"]), double_field(7, h["zero_count"]),
        *_side(8, 10, h["negative_offset"], h["negative"]), *_side(11, 13, h["positive_offset"], h["positive"]),
        number_field(14, h["hint"]), number_field(15, int(piece.t_ms[row])),
        doubles_field(16, h["custom_values"] or ()),
    ))  # fmt: skip
    return bytes_field(4, message)


def _side(spans: int, counts: int, offset: int, buckets: list[float]) -> tuple[bytes, ...]:
    """One span over all buckets. BucketSpan: 1 offset, 2 length."""
    if not buckets:
        return ()
    span = number_field(1, zigzag(offset)) + number_field(2, len(buckets))
    return bytes_field(spans, span), doubles_field(counts, buckets)


def _metadata(family: Family) -> bytes:
    """MetricMetadata: 1 type, 2 family, 4 help, 5 unit."""
    name, kind, unit, help_ = family
    texts = ((2, name), (4, help_), (5, unit))
    return number_field(1, TYPES.get(kind, 0)) + b"".join(bytes_field(n, text.encode()) for n, text in texts if text)


def batch(piece: Piece) -> Batch:
    """The same as tables of a metrics batch, with the labels of all its series."""
    ids = np.array([labels_id(labels) for labels in piece.series], np.uint64)
    which = pa.array(ids[piece.which])
    values = piece.values
    tables = {"series": _series(piece.series, ids)}
    if piece.hists is not None:
        native = piece.hists.is_valid()
        columns = dict(zip(HISTOGRAMS.names[2:], piece.hists.filter(native).flatten(), strict=True))
        held = {"series_id": which.filter(native), "t_ms": pa.array(piece.t_ms).filter(native), **columns}
        tables["histograms"] = pa.RecordBatch.from_arrays(list(held.values()), schema=HISTOGRAMS)
        values = values.copy()
        values[np.array(native)] = columns["count"].to_numpy()
    tables["samples"] = pa.RecordBatch.from_arrays([which, pa.array(piece.t_ms), pa.array(values)], schema=SAMPLES)
    if piece.families:
        rows = [dict(zip(METADATA.names, family, strict=True)) for family in piece.families]
        tables["metadata"] = pa.RecordBatch.from_pylist(rows, schema=METADATA)
    return Batch(Signal.METRICS, {name: table for name, table in tables.items() if table.num_rows})


def _series(series: list[Labels], ids: npt.NDArray[np.uint64]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(series, SERIES.field("labels").type)], schema=SERIES)
