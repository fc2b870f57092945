"""Metrics the plain way: `opentelemetry-proto` parses, Python walks. Needs no kernel; see `obs.otlp.slow`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from obs.model.batch import Decoded, Signal
from obs.model.labels import Labels, make_labels
from obs.model.schema import SAMPLES
from obs.otlp import points, reasons
from obs.otlp.census import check_body
from obs.otlp.draft import Draft, batch, metadata_key
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
)
from obs.otlp.limits import MAX_LABELS, MAX_TIME_NS
from obs.otlp.messages import Message, MetricsData, parse, text
from obs.otlp.naming import escaped_labels
from obs.otlp.series_cache import SeriesCache
from obs.otlp.values import cell_text, cells

Scope = dict[str, str]


def decode_metrics(body: bytes, cache: SeriesCache) -> Decoded:
    """Samples of an ExportMetricsServiceRequest."""
    check_body(Signal.METRICS, body)
    request = parse(MetricsData, body, "a metrics request")
    walk = _Walk(cache)
    for group in request.resource_metrics:
        target = make_target(group.resource)
        newest = -1
        for scoped in group.scope_metrics:
            scope = scope_labels(scoped.scope, text(scoped.schema_url))
            for metric in scoped.metrics:
                newest = max(newest, walk.metric(target, scope, metric))
        if target.info and newest >= 0:
            walk.samples([target.info], [walk.draft.series_id(target.info)], newest, [1.0])
    return walk.finish()


def metric_fault(metric: Message) -> str | None:
    """Why no point of a metric can be stored, if so."""
    if not metric.name:
        return reasons.NAME
    return None if temporality(metric) in (DELTA, CUMULATIVE) else reasons.TEMPORALITY


class _Walk:
    def __init__(self, cache: SeriesCache) -> None:
        self.draft = Draft(cache)
        self._rejected: Counter[str] = Counter()
        self._samples: tuple[list[int], list[int], list[float]] = ([], [], [])

    def finish(self) -> Decoded:
        return self.draft.finish(batch(SAMPLES, *self._samples), self._rejected)

    def metric(self, target: Target, scope: Scope, metric: Message) -> int:
        """Add a metric's points; returns the time of the newest in ms, or -1."""
        data = metric.WhichOneof("data")
        if data is None:
            return -1
        data_points = getattr(metric, data).data_points
        fault = metric_fault(metric)
        if fault and data_points:
            self._rejected[fault] += len(data_points)
        if fault:
            return -1
        family = make_family(metric)
        newest = -1
        for point in data_points:
            start_ns = points.start_ns(point) if data != "gauge" else 0
            fault = points.fault(point) or self._point(target, scope, family, point, start_ns)
            if fault:
                self._rejected[fault] += 1
            else:
                newest = max(newest, points.timestamp_ms(point))
        if newest >= 0:
            self.draft.family(metadata_key(family))
        return newest

    def _point(self, target: Target, scope: Scope, family: Family, point: Message, start_ns: int) -> str | None:
        """Add a data point's samples and exemplars, or say why not."""
        labels = point_labels(target, scope, family, point, self.draft.typed)
        if any(len(ls) > MAX_LABELS for ls in labels):
            return reasons.LABELS
        ids = [self.draft.series_id(ls) for ls in labels]
        values, t_ms = points.values(point), points.timestamp_ms(point)
        native = points.native(point)
        if family.cumulates and not points.is_stale(point):
            totals = self.draft.increments.cumulate(ids, t_ms, values, start_ns, native)
            if totals is None:
                return reasons.DELTA_ORDER
            values, start_ns = [total.value for total in totals], totals[0].start_ns
            native = totals[0].columns()
        self.samples(labels, ids, t_ms, values)
        if start_ns and not points.is_stale(point):
            for series_id in ids:
                self.draft.start(series_id, t_ms, start_ns // 1_000_000)
        if native is not None:
            self.draft.histogram(ids[0], t_ms, native)
        add_exemplars(self.draft, ids, point)
        return None

    def samples(self, labels: Sequence[Labels], ids: Sequence[int], t_ms: int, values: Sequence[float]) -> None:
        for series_id, ls, value in zip(ids, labels, values, strict=True):
            self.draft.note(series_id, ls)
            self._samples[0].append(series_id)
            self._samples[1].append(t_ms)
            self._samples[2].append(value)


def point_labels(target: Target, scope: Scope, family: Family, point: Message, typed: bool = False) -> list[Labels]:
    """The labels of each of a point's series."""
    own = escaped_labels((k, cell_text(c)) for k, c in cells(point.attributes).items())
    return [
        series_labels(
            target,
            scope,
            {**own, line.label: line.value} if line.label else own,
            family.sample_name + line.suffix,
            family if typed else None,
        )
        for line in points.layout(point)
    ]


def add_exemplars(draft: Draft, ids: Sequence[int], point: Message) -> None:
    """Add a point's exemplars: to the bucket that holds the value, or to the point's only series."""
    exemplars = getattr(point, "exemplars", ())
    if not exemplars:
        return
    bounds = points.bounds(point)
    for exemplar in exemplars:
        kind = exemplar.WhichOneof("value")
        if kind is None or exemplar.time_unix_nano > MAX_TIME_NS:
            continue
        value = float(getattr(exemplar, kind))
        draft.exemplar(ids[bisect_left(bounds, value)], points.timestamp_ms(exemplar), value, exemplar_labels(exemplar))


def exemplar_labels(exemplar: Message) -> Labels:
    """An exemplar's labels: its filtered attributes, and trace_id and span_id as hex where it has them."""
    labels = escaped_labels((k, cell_text(c)) for k, c in cells(exemplar.filtered_attributes).items())
    if len(exemplar.trace_id) == 16:
        labels["trace_id"] = exemplar.trace_id.hex()
    if len(exemplar.span_id) == 8:
        labels["span_id"] = exemplar.span_id.hex()
    return make_labels(labels)
