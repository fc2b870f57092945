"""Who a series is: the labels that resource, scope and metric give to every point below them.

In: messages. Out: label dictionaries, made once per message that has them.
Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
"""

from __future__ import annotations

from dataclasses import dataclass

from obs.model.labels import METRIC_NAME, Labels, make_labels, with_metadata
from obs.otlp.limits import MAX_LABELS
from obs.otlp.messages import Message, text
from obs.otlp.naming import escaped_labels, family_name, unit_words
from obs.otlp.values import cell_text, cells

_IDENTIFYING = ("service.namespace", "service.name", "service.instance.id")
DELTA, CUMULATIVE = 1, 2  # AggregationTemporality


@dataclass(frozen=True, slots=True)
class Target:
    """A resource: `job` and `instance`, and the labels of its target_info (None: it has none)."""

    labels: dict[str, str]
    info: Labels | None


def make_target(resource: Message) -> Target:
    """A resource's part in its series. Without a service name or instance, or with nothing else, there is no info."""
    attributes = {k: cell_text(c) for k, c in cells(resource.attributes).items()}
    namespace, name, instance = (attributes.pop(k, "") for k in _IDENTIFYING)
    job = f"{namespace}/{name}" if namespace and name else name
    labels = {k: v for k, v in (("job", job), ("instance", instance)) if v}
    if not labels or not attributes:
        return Target(labels, None)
    info = make_labels({**escaped_labels(attributes.items()), **labels, METRIC_NAME: "target_info"})
    return Target(labels, info if len(info) <= MAX_LABELS else None)


def scope_labels(scope: Message, schema_url: str) -> dict[str, str]:
    """A scope's part in its series: otel_scope_name, _version, _schema_url and one label per attribute."""
    attributes = ((f"otel_scope_{k}", cell_text(c)) for k, c in cells(scope.attributes).items())
    named = {
        "otel_scope_name": text(scope.name),
        "otel_scope_version": text(scope.version),
        "otel_scope_schema_url": schema_url,
    }
    return {**escaped_labels(attributes), **{k: v for k, v in named.items() if v}}


@dataclass(frozen=True, slots=True)
class Family:
    """A metric as Prometheus sees it; `name` is without suffix. `cumulates`: its points are deltas."""

    name: str
    kind: str
    unit: str
    help: str
    cumulates: bool

    @property
    def sample_name(self) -> str:
        """The name of its plain series."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


_KINDS = {"gauge": "gauge", "histogram": "histogram", "exponential_histogram": "histogram", "summary": "summary"}


def make_family(metric: Message) -> Family:
    """A metric's family; sums that only rise are counters, others gauges."""
    data = metric.WhichOneof("data") or "gauge"
    kind = ("counter" if metric.sum.is_monotonic else "gauge") if data == "sum" else _KINDS[data]
    unit = text(metric.unit)
    name = family_name(text(metric.name), unit, "sum" if data == "sum" and kind == "gauge" else kind)
    delta = temporality(metric) == DELTA
    return Family(name, kind, "_".join(unit_words(unit)), text(metric.description), delta)


def temporality(metric: Message) -> int:
    """A metric's aggregation temporality; gauges and summaries are as good as cumulative."""
    data = metric.WhichOneof("data")
    if data in ("sum", "histogram", "exponential_histogram"):
        return int(getattr(metric, data).aggregation_temporality)
    return CUMULATIVE


def series_labels(
    target: Target, scope: dict[str, str], point: dict[str, str], name: str, typed: Family | None = None
) -> Labels:
    """The whole identity of one series. What the system sets wins over the point's own attributes.

    `typed`: the family whose type and unit are labels too.
    """
    labels = {**point, **scope, **target.labels, METRIC_NAME: name}
    return make_labels(labels if typed is None else with_metadata(labels, typed.kind, typed.unit))
