"""The delimited protobuf format: io.prometheus.client.MetricFamily messages, each behind its length → the same `Page`.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format and client_model's metrics.proto
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from obs.errors import UserError
from obs.exposition.bounds import bound_text
from obs.exposition.text import Exemplar, ExpositionError, Family, Native, Page, Row, series_text
from obs.model.labels import METRIC_NAME, make_labels
from obs.remote_write import wire
from obs.remote_write.messages import side
from obs.remote_write.wire import fields, varint

KINDS = ("counter", "gauge", "summary", "unknown", "histogram", "gaugehistogram")
GAUGE, COUNTER, SUMMARY, UNTYPED, HISTOGRAM = 2, 3, 4, 5, 7
"""The fields of a Metric that hold its value, by type."""

MAX_MS = 2**63 - 1
"""The last time that a column of milliseconds can hold."""

GAUGE_HINT = 3
"""The hint of gauge histograms, in `HISTOGRAMS`."""

Pairs = dict[str, str]
Sample = tuple[str, Pairs, float, Exemplar | None]
"""Suffix of the name, further labels, value, exemplar."""


@dataclass(frozen=True, slots=True)
class Histograms:
    """What is read of histograms: native ones, and classic buckets of those that are native too."""

    native: bool = False
    classic_too: bool = True


CLASSIC = Histograms()


def parse_delimited(body: bytes, histograms: Histograms = CLASSIC) -> Page:
    """Read all messages. Raises: ExpositionError."""
    page, at = Page(), 0
    try:
        while at < len(body):
            size, at = varint(body, at)
            if size > len(body) - at:
                raise ExpositionError(f"a message of {size} bytes is cut off at byte {at}", page)
            _family(page, body[at : at + size], histograms)
            at += size
    except (UserError, UnicodeDecodeError, TypeError, struct.error) as e:
        said = f"cannot read protobuf metrics: they are malformed at byte {at} or in its message"
        raise ExpositionError(said, page) from e
    return page


def _family(page: Page, data: bytes, histograms: Histograms) -> None:
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
        rows = list(_metric(name, family.kind, metric, histograms))
        page.has_starts |= bool(rows and rows[-1].start_ms)
        page.rows += rows


def _metric(name: str, kind: str, data: bytes, histograms: Histograms) -> Iterator[Row]:
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
        native, start_ms = _native(message, kind) if number == HISTOGRAM and histograms.native else (None, 0)
        if native is not None:
            count = float(str(native.columns[1]))
            yield Row(series_text({METRIC_NAME: name, **labels}), count, t_ms, None, native, start_ms)
            if not histograms.classic_too:
                continue
        samples, start_ms = _samples(number, message)
        for suffix, more, figure, exemplar in samples:
            text = series_text({METRIC_NAME: name + suffix, **labels, **more})
            yield Row(text, figure, t_ms, exemplar, None, start_ms)


def _native(data: bytes, kind: str) -> tuple[Native | None, int]:
    """A histogram's native form, None where it has none, and when it began.

    1, 4 count (int, float), 2 sum, 5 schema, 6 zero threshold, 7, 8 zero count (int, float), 9 to 11 negative spans,
    deltas, counts, 12 to 14 positive ones, 15 created, 16 exemplars.
    """
    one: dict[int, wire.Value] = {}
    many: dict[int, list[wire.Value]] = {}
    for number, value in fields(data):
        if number in (9, 10, 11, 12, 13, 14, 16):
            many.setdefault(number, []).append(value)
        else:
            one[number] = value
    count = _double(one[4]) if 4 in one else float(_int(one.get(1, 0)))
    zero = _double(one[8]) if 8 in one else float(_int(one.get(7, 0)))
    threshold = _double(one.get(6, 0))
    if not (9 in many or 12 in many or threshold > 0 or zero > 0):
        return None, 0
    schema = wire.zigzag(one.get(5, 0))
    positive, negative = side(many, 12, 13, 14), side(many, 9, 10, 11)
    if positive is None or negative is None or not -4 <= schema <= 8:
        raise TypeError("a histogram's spans and counts do not fit each other")
    hint = GAUGE_HINT if kind == "gaugehistogram" else 0
    columns = (schema, count, _double(one.get(2, 0)), threshold, zero, *positive, *negative, None, hint)
    native = Native(columns, tuple(_exemplar(_bytes(e)) for e in many.get(16, ())))
    return native, _began_ms(one[15]) if 15 in one else 0


def _exemplar(data: bytes) -> Exemplar:
    """1 labels, 2 value, 3 time (seconds, nanoseconds)."""
    labels: Pairs = {}
    value, t_ms = 0.0, None
    for number, found in fields(data):
        if number == 1:
            pair = dict(fields(_bytes(found)))
            labels[_text(pair.get(1, b""))] = _text(pair.get(2, b""))
        elif number == 2:
            value = _double(found)
        elif number == 3:
            t_ms = _time_ms(found)
    return Exemplar(make_labels(labels), value, t_ms)


def _time_ms(timestamp: Any) -> int | None:
    """Of a google.protobuf.Timestamp (1 seconds, 2 nanoseconds); None where no column can hold so many milliseconds."""
    at = dict(fields(_bytes(timestamp)))
    t_ms = wire.signed(at.get(1, 0)) * 1000 + _int(at.get(2, 0)) // 1_000_000
    return t_ms if -MAX_MS <= t_ms <= MAX_MS else None


def _began_ms(timestamp: Any) -> int:
    """When something began; 0 where it says no time that can be kept."""
    return max(_time_ms(timestamp) or 0, 0)


def _samples(number: int, data: bytes) -> tuple[list[Sample], int]:
    """The samples of a value without what is native in it, and when what it counts began (0: it does not say)."""
    if number in (GAUGE, COUNTER, UNTYPED):
        found = dict(fields(data))
        example = _exemplar(_bytes(found[2])) if number == COUNTER and 2 in found else None
        began_ms = _began_ms(found[3]) if number == COUNTER and 3 in found else 0
        return [("", {}, _double(found.get(1, 0)), example)], began_ms
    samples = list[Sample]()
    start_ms = 0
    created = 4 if number == SUMMARY else 15
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
            example = _exemplar(_bytes(part[3])) if number == HISTOGRAM and 3 in part else None
            counted = _double(figure) if number == SUMMARY else float(_int(figure))
            samples.append((suffix, {label: bound_text(edge)}, counted, example))
        elif field == created:
            start_ms = _began_ms(value)
    if number == HISTOGRAM and not seen_infinity:
        samples.append(("_bucket", {"le": "+Inf"}, float(_int(count)), None))
    samples += [("_count", {}, float(_int(count)), None), ("_sum", {}, _double(total), None)]
    return samples, start_ms


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
