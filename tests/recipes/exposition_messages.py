"""Messages of the protobuf exposition format, written by hand: what a client library with native histograms shows.

Source of the field numbers: client_model's metrics.proto.
"""

from __future__ import annotations

from protobuf_fields import field, signed, varint


def family(name: str, kind: int, *metrics: bytes, told: str = "Help.") -> bytes:
    """A MetricFamily. `kind` is the number of its type: 4 is a histogram, 5 a gauge histogram."""
    return field(1, name) + field(2, told) + field(3, kind) + b"".join(field(4, metric) for metric in metrics)


def delimited(*messages: bytes) -> bytes:
    """Each message behind its length."""
    return b"".join(varint(len(message)) + message for message in messages)


def exemplar(trace_id: str, value: float, seconds: int) -> bytes:
    """An Exemplar."""
    label = field(1, "trace_id") + field(2, trace_id)
    return field(1, label) + field(2, value) + field(3, field(1, seconds))


def native_histogram() -> bytes:
    """A Metric with label `path="/"`: 6 observations, one of them zero, in both forms.

    Schema 0; positive buckets 0 (0.5, 1]: 1, 1 (1, 2]: 3, 3 (4, 8]: 1, so that there is a gap.
    """
    spans = field(12, signed(1, 0) + field(2, 2)) + field(12, signed(1, 1) + field(2, 1))
    deltas = b"".join(signed(13, delta) for delta in (1, 2, -2))
    classic = field(3, field(1, 2) + field(2, 1.0)) + field(3, field(1, 5) + field(2, 4.0))
    numbers = field(1, 6) + field(2, 12.5) + signed(5, 0) + field(6, 1e-128) + field(7, 1)
    example = field(16, exemplar("ab", 1.5, 1_700_000_000))
    return field(1, field(1, "path") + field(2, "/")) + field(7, numbers + classic + spans + deltas + example)
