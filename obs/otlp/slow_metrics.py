"""Metrics the plain way: `opentelemetry-proto` parses, Python walks. Needs no kernel; see `obs.otlp.slow`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from obs.model.batch import Decoded
from obs.model.labels import Labels, make_labels
from obs.otlp import points, reasons
from obs.otlp.draft import Draft
from obs.otlp.identity import (
    CUMULATIVE,
    DELTA,
    Family,
    Target,
    make_family,
    make_target,
    scope_labels,
    series_labels,
    temporality,
)  # fmt: skip
from obs.otlp.limits import MAX_LABELS, MAX_TIME_NS
from obs.otlp.messages import Message, MetricsData, parse, text
from obs.otlp.naming import escaped_labels
from obs.otlp.points import Line
from obs.otlp.series_cache import SeriesCache
from obs.otlp.values import cell_text, cells


def decode_metrics(body: bytes, cache: SeriesCache) -> Decoded:
    """Samples of an ExportMetricsServiceRequest."""
    request = parse(MetricsData, body, "a metrics request")
    draft = Draft(cache)
    for group in request.resource_metrics:
        target = make_target(group.resource)
        newest = -1
        for scoped in group.scope_metrics:
            scope = scope_labels(scoped.scope, text(scoped.schema_url))
            for metric in scoped.metrics:
                newest = max(newest, add_metric(draft, target, scope, metric))
        if target.info and newest >= 0:
            draft.sample(draft.series_id(target.info), newest, 1.0)
    return draft.finish()


def metric_fault(metric: Message) -> str | None:
    """Why no point of a metric can be stored, if so."""
    if not metric.name:
        return reasons.NAME
    return None if temporality(metric) in (DELTA, CUMULATIVE) else reasons.TEMPORALITY


def add_metric(draft: Draft, target: Target, scope: dict[str, str], metric: Message) -> int:
    """Add a metric's points; returns the time of the newest in ms, or -1."""
    data = metric.WhichOneof("data")
    if data is None:
        return -1
    data_points = getattr(metric, data).data_points
    fault = metric_fault(metric)
    if fault:
        draft.rejected[fault] += len(data_points)
        return -1
    family = make_family(metric)
    newest = -1
    for point in data_points:
        fault = points.fault(point) or add_point(draft, target, scope, family, point)
        if fault:
            draft.rejected[fault] += 1
        else:
            newest = max(newest, points.timestamp_ms(point))
    if newest >= 0:
        draft.family(family)
    return newest


def add_point(draft: Draft, target: Target, scope: dict[str, str], family: Family, point: Message) -> str | None:
    """Add a data point's samples and exemplars, or say why not."""
    lines = points.layout(point)
    labels = point_labels(target, scope, family, point, lines)
    if any(len(ls) > MAX_LABELS for ls in labels):
        return reasons.LABELS
    ids = [draft.series_id(ls) for ls in labels]
    values, t_ms = points.values(point), points.timestamp_ms(point)
    if family.cumulates and not points.is_stale(point):
        if draft.is_late(ids, t_ms):
            return reasons.DELTA_ORDER
        values = [draft.cumulate(i, t_ms, v) for i, v in zip(ids, values, strict=True)]
    for series_id, value in zip(ids, values, strict=True):
        draft.sample(series_id, t_ms, value)
    add_exemplars(draft, ids, lines, getattr(point, "exemplars", ()))
    return None


def point_labels(
    target: Target, scope: dict[str, str], family: Family, point: Message, lines: Sequence[Line]
) -> list[Labels]:
    """The labels of each of a point's series."""
    own = escaped_labels((k, cell_text(c)) for k, c in cells(point.attributes).items())
    return [
        series_labels(
            target, scope, {**own, line.label: line.value} if line.label else own, family.sample_name + line.suffix
        )
        for line in lines
    ]


def add_exemplars(draft: Draft, ids: Sequence[int], lines: Sequence[Line], exemplars: Iterable[Message]) -> None:
    """Add exemplars: to the bucket that holds the value, or to the point's only series."""
    bounds = [float(line.value) for line in lines if line.label == "le"]
    for exemplar in exemplars:
        kind = exemplar.WhichOneof("value")
        if kind is None or exemplar.time_unix_nano > MAX_TIME_NS:
            continue
        value = float(getattr(exemplar, kind))
        at = min(bisect_left(bounds, value), len(bounds) - 1) if bounds else 0
        draft.exemplar(ids[at], points.timestamp_ms(exemplar), value, exemplar_labels(exemplar))


def exemplar_labels(exemplar: Message) -> Labels:
    """An exemplar's labels: its filtered attributes, and trace_id and span_id as hex where it has them."""
    labels = escaped_labels((k, cell_text(c)) for k, c in cells(exemplar.filtered_attributes).items())
    if len(exemplar.trace_id) == 16:
        labels["trace_id"] = exemplar.trace_id.hex()
    if len(exemplar.span_id) == 8:
        labels["span_id"] = exemplar.span_id.hex()
    return make_labels(labels)
