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
from obs.otlp.slots import FIRST as FIRST_ID
from obs.otlp.slots import STATE, STORED

AT, STOP, SLOT, H1, H2, FIRST, MORE = range(7)
"""Of a series: its bytes, its slot (-1: new), its hash, its first sample, whether it has more than samples."""
SERIES_FIELDS = 7

N_SERIES, N_SAMPLES, N_METADATA, N_ODD = range(4)
"""What a walk counts; odd series are new, or have more than samples."""

LABEL = 0x0A
"""The tag of a label in a series."""


@inner
def _labels_stop(buf, at, end):
    """Where the labels end that a series begins with; -1: malformed. What they say is read once, when they are new."""
    while at < end and buf[at] == LABEL:
        _, at = length(buf, at + 1, end)
        if at < 0:
            return at
    return at


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
    labels_stop = _labels_stop(buf, at, end)
    if labels_stop < 0:
        return MALFORMED
    h1, h2 = np.uint64(seed), np.uint64(seed) ^ np.uint64(0x5851F42D4C957F2D)
    h1, h2 = hash_more(buf, at, labels_stop, h1, h2)
    at = labels_stop
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if number > 4:
            at = skip(buf, at, end, wire)
            if at < 0:
                return MALFORMED
            continue
        if wire != LEN or number == 1:
            return RARE
        start, stop = length(buf, at, end)
        if stop < 0:
            return MALFORMED
        if number == 2:
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
    slot = find_slot(table, np.int64(h1), np.int64(h2))
    series[SLOT, index] = slot
    counts[N_ODD] += slot < 0 or series[MORE, index] != 0
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
def emit(series, info, ids, samples, n, out):
    """Write id, time and bits of the value of each sample; those of refused series are left out.

    out: int64[3, n]. Returns how many there are, and how many series are not stored yet or refused.
    """
    kept = unsettled = np.int64(0)
    last = np.int64(-1)
    for i in range(n):
        index = samples[0, i]
        slot = series[SLOT, index]
        state = info[slot, STATE]
        unsettled += index != last and state != STORED
        last = index
        if state >= 0:
            out[0, kept] = ids[info[slot, FIRST_ID]]
            out[1, kept] = samples[1, i]
            out[2, kept] = samples[2, i]
            kept += 1
    return kept, unsettled


def warm() -> None:
    """Call every kernel once with the types it will be used with."""
    from obs.otlp.series_cache import SeriesCache
    from obs.remote_write import fast

    label = b"\x0a\x0d\x0a\x08__name__\x12\x01a"
    sample = b"\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01"
    one = label + sample
    fast.decode_v1(b"\x0a" + bytes([len(one)]) + one, SeriesCache())
