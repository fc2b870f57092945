"""Protocol 1.0 by kernels: the samples of a WriteRequest, each with its series; label sets are hashed, not read.

Source: prometheus/prompb remote.proto and types.proto.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_points import find_slot
from obs.otlp.kernels_wire import (
    FULL,
    I64,
    LEN,
    MALFORMED,
    OK,
    RARE,
    VARINT,
    fixed64,
    hash_more,
    inner,
    kernel,
    length,
    skip,
    tag,
    varint,
)  # fmt: skip

AT, STOP, SLOT, H1, H2, FIRST, MORE = range(7)
"""Of a series: its bytes, its slot (-1: new), its hash, its first sample, whether it has more than samples."""
SERIES_FIELDS = 7

N_SERIES, N_SAMPLES, N_METADATA = range(3)
"""What a walk counts."""


@inner
def _label(buf, at, end, h1, h2):
    """A Label folded into the hash: 1 name, 2 value."""
    name_at = name_stop = value_at = value_stop = np.int64(at)
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return h1, h2, False
        if wire == LEN and number <= 2:
            start, stop = length(buf, at, end)
            if stop < 0:
                return h1, h2, False
            if number == 1:
                name_at, name_stop = start, stop
            else:
                value_at, value_stop = start, stop
            at = stop
        else:
            at = skip(buf, at, end, wire)
            if at < 0 or number <= 2:
                return h1, h2, False
    h1, h2 = hash_more(buf, name_at, name_stop, h1, h2)
    h1, h2 = hash_more(buf, value_at, value_stop, h1, h2)
    return h1, h2, True


@inner
def _sample(buf, at, end, samples, to):
    """A Sample as its time and the bits of its value: 1 value, 2 timestamp."""
    samples[1, to] = samples[2, to] = 0
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return False
        if number == 1 and wire == I64:
            samples[2, to], at = fixed64(buf, at, end)
        elif number == 2 and wire == VARINT:
            samples[1, to], at = varint(buf, at, end)
        else:
            at = skip(buf, at, end, wire) if number > 2 else -1
        if at < 0:
            return False
    return True


@inner
def _series(buf, at, end, seed, table, series, samples, counts):
    """A TimeSeries: 1 labels, 2 samples, 3 exemplars, 4 histograms."""
    index = counts[N_SERIES]
    series[AT, index], series[STOP, index] = at, end
    series[FIRST, index], series[MORE, index] = counts[N_SAMPLES], 0
    h1, h2 = np.uint64(seed), np.uint64(seed) ^ np.uint64(0x5851F42D4C957F2D)
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if number > 4:
            at = skip(buf, at, end, wire)
            if at < 0:
                return MALFORMED
            continue
        if wire != LEN:
            return RARE
        start, stop = length(buf, at, end)
        if stop < 0:
            return MALFORMED
        if number == 1:
            h1, h2, sound = _label(buf, start, stop, h1, h2)
            if not sound:
                return RARE
        elif number == 2:
            to = counts[N_SAMPLES]
            if to == samples.shape[1]:
                return FULL
            samples[0, to] = index
            if not _sample(buf, start, stop, samples, to):
                return RARE
            counts[N_SAMPLES] = to + 1
        else:
            series[MORE, index] = 1
        at = stop
    series[H1, index], series[H2, index] = np.int64(h1), np.int64(h2)
    series[SLOT, index] = find_slot(table, np.int64(h1), np.int64(h2))
    counts[N_SERIES] = index + 1
    return OK


@kernel
def walk(buf, end, seed, table, series, samples, counts):
    """A WriteRequest: 1 timeseries, 3 metadata.

    series: int64[SERIES_FIELDS, n]; samples: int64[3, m] (index of the series, t_ms, bits of the value).
    """
    at = np.int64(0)
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if number == 1:
            if wire != LEN:
                return RARE
            start, stop = length(buf, at, end)
            if stop < 0:
                return MALFORMED
            if counts[N_SERIES] == series.shape[1]:
                return FULL
            code = _series(buf, start, stop, seed, table, series, samples, counts)
            if code != OK:
                return code
            at = stop
        else:
            counts[N_METADATA] += number == 3
            at = skip(buf, at, end, wire)
            if at < 0:
                return MALFORMED
    return OK


@kernel
def emit(series, info, ids, samples, n):
    """Put ids in the place of series; samples of refused ones are left out. Returns how many stay."""
    kept = np.int64(0)
    for i in range(n):
        slot = series[SLOT, samples[0, i]]
        if info[slot, 2] >= 0:
            samples[0, kept] = ids[info[slot, 0]]
            samples[1, kept] = samples[1, i]
            samples[2, kept] = samples[2, i]
            kept += 1
    return kept


def warm() -> None:
    """Call every kernel once with the types it will be used with."""
    from obs.otlp.series_cache import SeriesCache
    from obs.remote_write import fast

    label = b"\x0a\x0d\x0a\x08__name__\x12\x01a"
    sample = b"\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01"
    one = label + sample
    fast.decode_v1(b"\x0a" + bytes([len(one)]) + one, SeriesCache())
