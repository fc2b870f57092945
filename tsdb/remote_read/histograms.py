"""Native histograms on the wire: a message of protocol's own, or a float histogram chunk.

Source: prometheus/prompb types.proto, "Histogram"; tsdb/docs/format/chunks.md, "Float histogram chunk data".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from obs.tsdb.histograms import HINTS
from obs.tsdb.promql.histogram import GAUGE, NOT_RESET, RESET, UNKNOWN, Histogram
from obs.tsdb.remote_read.bits import Bits
from obs.tsdb.remote_read.wire import bytes_field, double_field, doubles_field, number_field, zigzag

Span = tuple[int, int]  # offset from the end of the last one, length

HEADERS = {UNKNOWN: 0x00, RESET: 0x80, NOT_RESET: 0x40, GAUGE: 0xC0}
"""The first byte of a chunk after the number of samples."""

ZERO_EXPONENTS = range(-242, 12)
"""A zero threshold of half of two to one of these takes one byte."""


def spans(counts: Mapping[int, float]) -> tuple[list[Span], list[float]]:
    """Runs of buckets that follow each other, and the counts of all."""
    found: list[Span] = []
    behind = 0
    for index in sorted(counts):
        if found and index == behind:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((index - behind, 1))
        behind = index + 1
    return found, [counts[index] for index in sorted(counts)]


def message(t_ms: int, h: Histogram) -> bytes:
    """A Histogram of floats: 2 count, 3 sum, 4 schema, 5 zero threshold, 7 zero count, 8 and 10 negative spans and
    counts, 11 and 13 positive ones, 14 reset hint, 15 timestamp, 16 custom values.
    """
    negative, negative_counts = spans(h.negative)
    positive, positive_counts = spans(h.positive)
    return b"".join((
        double_field(2, h.count), double_field(3, h.sum), number_field(4, zigzag(h.schema)),
        double_field(5, h.zero_threshold), double_field(7, h.zero_count),
        *(bytes_field(8, _span(s)) for s in negative), doubles_field(10, negative_counts),
        *(bytes_field(11, _span(s)) for s in positive), doubles_field(13, positive_counts),
        number_field(14, HINTS.index(h.hint)), number_field(15, t_ms), doubles_field(16, h.custom_values),
    ))  # fmt: skip


def _span(span: Span) -> bytes:
    """1 offset, 2 length."""
    return number_field(1, zigzag(span[0])) + number_field(2, span[1])


def chunk(t_ms: int, h: Histogram) -> bytes:
    """A float histogram chunk of one sample: the next may have other buckets, which would end the chunk anyway."""
    positive, positive_counts = spans(h.positive)
    negative, negative_counts = spans(h.negative)
    out = Bits()
    out.put(1, 16)
    out.put(HEADERS[h.hint], 8)
    _put_threshold(out, h.zero_threshold)
    out.put_int(h.schema)
    for side in (positive, negative):
        out.put_uint(len(side))
        for offset, length in side:
            out.put_uint(length)
            out.put_int(offset)
    if h.is_custom:
        out.put_uint(len(h.custom_values))
        for bound in h.custom_values:
            _put_bound(out, bound)
    out.put_int(t_ms)
    for value in (h.count, h.zero_count, h.sum, *positive_counts, *negative_counts):
        out.put_bytes(struct.pack(">d", value))
    return out.to_bytes()


def _put_threshold(out: Bits, threshold: float) -> None:
    fraction, exponent = math.frexp(threshold)
    if threshold == 0:
        out.put(0, 8)
    elif fraction == 0.5 and exponent in ZERO_EXPONENTS:
        out.put(exponent + 243, 8)
    else:
        out.put(255, 8)
        out.put_bytes(struct.pack(">d", threshold))


def _put_bound(out: Bits, bound: float) -> None:
    """A custom bound in full: the short form for multiples of a thousandth is only shorter."""
    out.put(0, 1)
    out.put_bytes(struct.pack(">d", bound))
