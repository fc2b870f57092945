"""The messages of both protocols as Python values; what is only in one of them is empty in the other.

Source: prometheus/prompb types.proto and io/prometheus/write/v2/types.proto; docstrings give the field numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from obs.model.labels import Labels, make_labels
from obs.otlp.limits import MAX_LABELS
from obs.remote_write import reasons, wire

KINDS = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
"""Metric types by their number."""

MAX_BUCKETS = 65_536
"""Indexes between a histogram's first and last bucket: real ones have at most some hundred."""

MAX_INDEX = 1 << 30
"""A bucket's index past this is no bucket: schema 8 ends below 2^18."""

Pairs = list[tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Histogram:
    """A native histogram: its time and the columns of `HISTOGRAMS` after that; None where it is faulty."""

    t_ms: int
    columns: tuple[object, ...] | None
    count: float = 0.0


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An exemplar of a series."""

    labels: Labels
    t_ms: int
    value: float


@dataclass(slots=True)
class Series:
    """One TimeSeries."""

    pairs: Pairs = field(default_factory=list)
    samples: list[tuple[int, float]] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=list)  # times of samples, when these began (0: unknown)
    metadata: tuple[str, str, str] | None = None  # type, unit, help


def series_v1(data: bytes) -> Series:
    """A prometheus.TimeSeries: 1 labels, 2 samples, 3 exemplars, 4 histograms."""
    series = Series()
    for number, value in wire.bounded(wire.fields(data)):
        if number == 1:
            series.pairs.append(_pair(value))
        elif number == 2:
            series.samples.append(_sample(value))
        elif number == 3:
            series.exemplars.append(_exemplar_v1(value))
        elif number == 4:
            series.histograms.append(histogram(wire.raw(value)))
    return series


def series_v2(data: bytes, symbols: Sequence[str | None]) -> Series:
    """A write.v2.TimeSeries: 1 label refs, 2 samples, 3 histograms, 4 exemplars, 5 metadata."""
    series = Series()
    refs: list[int] = []
    for number, value in wire.bounded(wire.fields(data)):
        if number == 1:
            refs += wire.varints(value)
        elif number == 2:
            series.samples.append(_sample(value))
            _add_start(series, series.samples[-1][0], value, 3)
        elif number == 3:
            series.histograms.append(histogram(wire.raw(value)))
            _add_start(series, series.histograms[-1].t_ms, value, 17)
        elif number == 4:
            series.exemplars.append(_exemplar_v2(value, symbols))
        elif number == 5:
            series.metadata = _metadata_v2(value, symbols)
    series.pairs = _referred(refs, symbols)
    return series


def _add_start(series: Series, t_ms: int, sample: wire.Value, number: int) -> None:
    """The start timestamp of a sample, which has this field number; none is told after one that is known."""
    start_ms = next((wire.signed(v) for n, v in wire.fields(wire.raw(sample)) if n == number), 0)
    if start_ms or series.starts:
        series.starts.append((t_ms, start_ms))


def _referred(refs: Sequence[int], symbols: Sequence[str | None]) -> Pairs:
    if len(refs) % 2 or (refs and max(refs) >= len(symbols)):
        raise wire.malformed("a label refers to a symbol that is not there")
    return [(symbols[refs[i]], symbols[refs[i + 1]]) for i in range(0, len(refs), 2)]


def _metadata_v2(value: wire.Value, symbols: Sequence[str | None]) -> tuple[str, str, str] | None:
    """1 type, 3 help ref, 4 unit ref. None where it says nothing: Prometheus sends such for what it has none of."""
    found = {number: wire.integer(v) for number, v in wire.fields(wire.raw(value))}
    help_ref, unit_ref = found.get(3, 0), found.get(4, 0)
    if max(help_ref, unit_ref) >= max(len(symbols), 1):
        raise wire.malformed("metadata refers to a symbol that is not there")
    unit, help_ = ((symbols[ref] or "") if symbols else "" for ref in (unit_ref, help_ref))
    return (kind(found.get(1, 0)), unit, help_) if found.get(1, 0) or unit or help_ else None


def metadata_v1(data: bytes) -> tuple[str, str, str, str]:
    """A prometheus.MetricMetadata as (family, type, unit, help): 1 type, 2 family, 4 help, 5 unit."""
    found = dict(wire.fields(data))
    family, unit, help_ = (wire.text(found.get(n, b"")) or "" for n in (2, 5, 4))
    return family, kind(wire.integer(found.get(1, 0))), unit, help_


def kind(number: int) -> str:
    """The word for a metric type."""
    return KINDS[number] if number < len(KINDS) else "unknown"


def labels_of(pairs: Pairs) -> Labels | str:
    """The labels of a series, or why it cannot be kept."""
    names = [name for name, _ in pairs]
    if any(name is None or value is None for name, value in pairs):
        return reasons.UTF8
    if "" in names:
        return reasons.NAME
    if len(set(names)) < len(names):
        return reasons.REPEATED
    if len(names) > MAX_LABELS:
        return reasons.LABELS
    return make_labels((str(name), str(value)) for name, value in pairs) or reasons.NO_LABELS


def _pair(value: wire.Value) -> tuple[str | None, str | None]:
    """A Label: 1 name, 2 value."""
    name: str | None = ""
    text: str | None = ""
    for number, v in wire.fields(wire.raw(value)):
        if number == 1:
            name = wire.text(v)
        elif number == 2:
            text = wire.text(v)
    return name, text


def _sample(value: wire.Value) -> tuple[int, float]:
    """A Sample as (t_ms, value): 1 value, 2 timestamp."""
    found = dict(wire.fields(wire.raw(value)))
    return wire.signed(found.get(2, 0)), wire.double(found.get(1, 0))


def _exemplar_v1(value: wire.Value) -> Exemplar:
    """1 labels, 2 value, 3 timestamp."""
    pairs: Pairs = []
    found: dict[int, wire.Value] = {}
    for number, v in wire.fields(wire.raw(value)):
        if number == 1:
            pairs.append(_pair(v))
        else:
            found[number] = v
    return _exemplar(pairs, found)


def _exemplar_v2(value: wire.Value, symbols: Sequence[str | None]) -> Exemplar:
    """1 label refs, 2 value, 3 timestamp."""
    refs: list[int] = []
    found: dict[int, wire.Value] = {}
    for number, v in wire.fields(wire.raw(value)):
        if number == 1:
            refs += wire.varints(v)
        else:
            found[number] = v
    return _exemplar(_referred(refs, symbols), found)


def _exemplar(pairs: Pairs, found: dict[int, wire.Value]) -> Exemplar:
    labels = make_labels((name or "", value or "") for name, value in pairs)
    return Exemplar(labels, wire.signed(found.get(3, 0)), wire.double(found.get(2, 0)))


def histogram(data: bytes) -> Histogram:
    """1, 2 count (int, float), 3 sum, 4 schema, 5 zero threshold, 6, 7 zero count (int, float), 8 to 10 negative
    spans, deltas, counts, 11 to 13 positive ones, 14 reset hint, 15 timestamp, 16 custom values.
    """
    one: dict[int, wire.Value] = {}
    many: dict[int, list[wire.Value]] = {}
    for number, value in wire.bounded(wire.fields(data)):
        if number in (8, 9, 10, 11, 12, 13, 16):
            many.setdefault(number, []).append(value)
        else:
            one[number] = value
    count = wire.double(one[2]) if 2 in one else float(wire.integer(one.get(1, 0)))
    zero = wire.double(one[7]) if 7 in one else float(wire.integer(one.get(6, 0)))
    positive, negative = side(many, 11, 12, 13), side(many, 8, 9, 10)
    schema, hint = wire.zigzag(one.get(4, 0)), wire.integer(one.get(14, 0))
    t_ms = wire.signed(one.get(15, 0))
    numbers = (wire.double(one.get(3, 0)), wire.double(one.get(5, 0)), zero)
    custom = [x for v in many.get(16, ()) for x in wire.doubles(v)] if schema == -53 else None
    if positive is None or negative is None or not (-4 <= schema <= 8 or schema == -53) or hint > 3:
        return Histogram(t_ms, None)
    if custom is not None and not _bounded(custom, positive, negative):
        return Histogram(t_ms, None)
    return Histogram(t_ms, (schema, count, *numbers, *positive, *negative, custom, hint), count)


def _bounded(bounds: list[float], positive: tuple[int, list[float]], negative: tuple[int, list[float]]) -> bool:
    """Whether custom bounds ascend, and every bucket has its own; the one past the last bound ends at infinity."""
    first, counts = positive
    ascending = all(low < high for low, high in pairwise([-math.inf, *bounds]))
    return ascending and first >= 0 and first + len(counts) <= len(bounds) + 1 and not negative[1]


def side(many: dict[int, list[wire.Value]], spans: int, deltas: int, counts: int) -> tuple[int, list[float]] | None:
    """The first index and the counts without gaps; None where spans and counts do not fit each other."""
    given = [x for v in many.get(counts, ()) for x in wire.doubles(v)] or list(_summed(many.get(deltas, ())))
    found: dict[int, float] = {}
    index = taken = 0
    for span in many.get(spans, ()):
        parts = dict(wire.fields(wire.raw(span)))
        index += wire.zigzag(parts.get(1, 0))
        size = wire.integer(parts.get(2, 0))
        if size > len(given) - taken or abs(index) > MAX_INDEX:
            return None
        found.update(zip(range(index, index + size), given[taken : taken + size], strict=True))
        index, taken = index + size, taken + size
    if taken != len(given):
        return None
    if not found:
        return 0, []
    first, last = min(found), max(found)
    return (first, [found.get(i, 0.0) for i in range(first, last + 1)]) if last - first < MAX_BUCKETS else None


def _summed(deltas: Sequence[wire.Value]) -> Iterator[float]:
    total = 0
    for value in deltas:
        for delta in wire.varints(value):
            total += wire.zigzag(delta)
            yield float(total)
