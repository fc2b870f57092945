"""Series of TraceQL metrics in Tempo's JSON: labels and values as OTLP writes them, times as text in ms.

Source: Grafana Tempo, pkg/tempopb, QueryRangeResponse and QueryInstantResponse.
"""

from __future__ import annotations

import math
from typing import Any

from obs.tracestore.tempo_shape import any_value
from obs.tracestore.traceql.metrics.run import finished_value
from obs.tracestore.traceql.metrics.series import Exemplar, Measured, Series

Json = dict[str, Any]


def range_answer(found: Measured) -> Json:
    """Samples of each series at its steps."""
    times = [str(t) for t in found.window.times_ms()]
    series = [
        _named(s) | {
            "samples": [
                {"timestampMs": t, "value": _number(v)}
                for t, v in zip(times, s.values.tolist(), strict=True) if not math.isnan(v)
            ],
            "exemplars": [_exemplar(s, e) for e in s.exemplars],
        }
        for s in found.series
    ]  # fmt: skip
    return {"series": series, "metrics": _read(found)}


def instant_answer(found: Measured) -> Json:
    """One value of each series over the whole range."""
    series = [_named(s) | {"value": _number(float(s.values[0]))} for s in found.series if not math.isnan(s.values[0])]
    return {"series": series, "metrics": _read(found)}


def _named(series: Series) -> Json:
    labels = [{"key": key, "value": any_value(value)} for key, value in series.labels]
    return {"labels": labels, "promLabels": "{" + ", ".join(_prom(k, v) for k, v in series.labels) + "}"}


def _prom(key: str, value: Any) -> str:
    text = "nil" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{key}="{quoted}"'


def _exemplar(series: Series, exemplar: Exemplar) -> Json:
    return {
        "labels": [{"key": "trace:id", "value": {"stringValue": exemplar.trace_id}}],
        "value": _number(finished_value(series, exemplar)), "timestampMs": str(exemplar.start_ns // 10**6),
    }  # fmt: skip


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")


def _read(found: Measured) -> Json:
    return {"inspectedSpans": str(found.stats.rows_read), "totalJobs": 1, "completedJobs": 1}
