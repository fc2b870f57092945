"""The delimited protobuf format: io.prometheus.client.MetricFamily messages, each behind its length → the same `Page`.

Native histograms in it are left out; their classic buckets, count and sum are read.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format and client_model's metrics.proto
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

from obs.errors import UserError
from obs.exposition.text import ExpositionError, Family, Page, Row, series_text
from obs.model.labels import METRIC_NAME
from obs.remote_write.wire import fields, varint

KINDS = ("counter", "gauge", "summary", "unknown", "histogram", "gaugehistogram")
GAUGE, COUNTER, SUMMARY, UNTYPED, HISTOGRAM = 2, 3, 4, 5, 7
"""The fields of a Metric that hold its value, by type."""

Pairs = dict[str, str]


def parse_delimited(body: bytes) -> Page:
    """Read all messages. Raises: ExpositionError."""
    page, at = Page(), 0
    try:
        while at < len(body):
            size, at = varint(body, at)
            if size > len(body) - at:
                raise ExpositionError(f"a message of {size} bytes is cut off at byte {at}")
            _family(page, body[at : at + size])
            at += size
    except (UserError, UnicodeDecodeError, TypeError, struct.error) as e:
        raise ExpositionError(f"cannot read protobuf metrics: they are malformed at byte {at} or in its message") from e
    return page


def _family(page: Page, data: bytes) -> None:
    name, family, metrics = "", Family(), list[bytes]()
    for number, value in fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            family.help = _text(value)
        elif number == 3:
            family.kind = KINDS[value] if isinstance(value, int) and value < len(KINDS) else "unknown"
        elif number == 4:
            metrics.append(_bytes(value))
        elif number == 5:
            family.unit = _text(value)
    page.families[name] = family
    for metric in metrics:
        page.rows.extend(_metric(name, metric))


def _metric(name: str, data: bytes) -> Iterator[Row]:
    labels: Pairs = {}
    t_ms: int | None = None
    values: list[tuple[int, bytes]] = []
    for number, value in fields(data):
        if number == 1:
            pair = dict(fields(_bytes(value)))
            labels[_text(pair.get(1, b""))] = _text(pair.get(2, b""))
        elif number == 6 and isinstance(value, int):
            t_ms = value - (1 << 64) if value >> 63 else value
        elif number in (GAUGE, COUNTER, SUMMARY, UNTYPED, HISTOGRAM):
            values.append((number, _bytes(value)))
    for number, message in values:
        for suffix, more, figure in _samples(number, message):
            yield Row(series_text({METRIC_NAME: name + suffix, **labels, **more}), figure, t_ms, None)


def _samples(number: int, data: bytes) -> Iterator[tuple[str, Pairs, float]]:
    """(suffix of the name, further labels, value)."""
    if number in (GAUGE, COUNTER, UNTYPED):
        yield "", {}, _double(dict(fields(data)).get(1, 0))
        return
    label, key, cumulative, suffix = ("quantile", 1, 2, "") if number == SUMMARY else ("le", 2, 1, "_bucket")
    count: Any = 0
    total: Any = 0
    seen_infinity = False
    for field, value in fields(data):
        if field == 1:
            count = value
        elif field == 2:
            total = value
        elif field == 3:
            part = dict(fields(_bytes(value)))
            edge = _double(part.get(key, 0))
            seen_infinity |= edge == math.inf
            figure = part.get(cumulative, 0)
            yield suffix, {label: bound_text(edge)}, _double(figure) if number == SUMMARY else float(_int(figure))
    if number == HISTOGRAM and not seen_infinity:
        yield "_bucket", {"le": "+Inf"}, float(_int(count))
    yield "_count", {}, float(_int(count))
    yield "_sum", {}, _double(total)


def bound_text(value: float) -> str:
    """A bucket's edge or a quantile as its label has it."""
    return "+Inf" if value == math.inf else "-Inf" if value == -math.inf else repr(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("a message or text was expected")
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode()


def _int(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError("a number was expected")
    return value


def _double(value: Any) -> float:
    found: float = struct.unpack("<d", struct.pack("<Q", _int(value)))[0]
    return found
