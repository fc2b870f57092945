"""Messages of the protobuf exposition format, written by hand: what a client library with native histograms shows.

Source of the field numbers: client_model's metrics.proto.
"""

from __future__ import annotations

import struct


def varint(value: int) -> bytes:
    """A number, seven bits a byte."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(number: int, value: str | bytes) -> bytes:
    """A field of text or a message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def integer(number: int, value: int) -> bytes:
    """A field with an unsigned number."""
    return varint(number << 3) + varint(value)


def signed(number: int, value: int) -> bytes:
    """A field with a zig-zag number."""
    return integer(number, value * 2 if value >= 0 else -value * 2 - 1)


def double(number: int, value: float) -> bytes:
    """A field with a 64-bit float."""
    return varint(number << 3 | 1) + struct.pack("<d", value)


def family(name: str, kind: int, *metrics: bytes, told: str = "Help.") -> bytes:
    """A MetricFamily. `kind` is the number of its type: 4 is a histogram, 5 a gauge histogram."""
    return text(1, name) + text(2, told) + integer(3, kind) + b"".join(text(4, metric) for metric in metrics)


def delimited(*messages: bytes) -> bytes:
    """Each message behind its length."""
    return b"".join(varint(len(message)) + message for message in messages)


def exemplar(trace_id: str, value: float, seconds: int) -> bytes:
    """An Exemplar."""
    label = text(1, "trace_id") + text(2, trace_id)
    return text(1, label) + double(2, value) + text(3, integer(1, seconds))


def native_histogram() -> bytes:
    """A Metric with label `path="/"`: 6 observations, one of them zero, in both forms.

    Schema 0; positive buckets 0 (0.5, 1]: 1, 1 (1, 2]: 3, 3 (4, 8]: 1, so that there is a gap.
    """
    spans = text(12, signed(1, 0) + integer(2, 2)) + text(12, signed(1, 1) + integer(2, 1))
    deltas = b"".join(signed(13, delta) for delta in (1, 2, -2))
    classic = text(3, integer(1, 2) + double(2, 1.0)) + text(3, integer(1, 5) + double(2, 4.0))
    numbers = integer(1, 6) + double(2, 12.5) + signed(5, 0) + double(6, 1e-128) + integer(7, 1)
    example = text(16, exemplar("ab", 1.5, 1_700_000_000))
    return text(1, text(1, "path") + text(2, "/")) + text(7, numbers + classic + spans + deltas + example)
