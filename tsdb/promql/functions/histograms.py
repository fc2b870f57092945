"""The histogram_* functions: classic buckets and native histograms answer alike.

Where a vector holds both under the same labels at a step, neither is answered for, and a warning says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from obs.model.labels import Labels, make_labels
from obs.tsdb.promql import histogram_shape as shape
from obs.tsdb.promql.annotations import maybe_of
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.functions import histogram_classic as classic
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.plan import Call, Node
from obs.tsdb.promql.values import F64, Vector, merge_over_steps, metric_name, stack, without

Native = Callable[[Histogram, int, str], float]
"""(histogram, step, metric name) → a value."""


def _native(vector: Vector, one: Native) -> Vector:
    """`one(histogram, step, name)` for every histogram sample; floats have no part."""
    there = vector.histograms
    values = np.zeros(vector.values.shape)
    if vector.hists is not None:
        names = [metric_name(labels) for labels in vector.labels]
        for row, col in zip(*(a.tolist() for a in np.nonzero(there)), strict=True):
            values[row, col] = one(vector.hists[row, col], col, names[row])
    return Vector(vector.labels, values, there, np.ones_like(vector.drop_name)).compact()


def _both(frame: Frame, node: Node, vector: Vector, buckets: classic.OfBuckets, one: Native) -> Vector:
    """Classic and native histograms of one vector."""
    from_buckets = classic.each(frame, node, vector, buckets)
    if vector.hists is None:
        return from_buckets
    native = _native(vector, one)
    rows: dict[Labels, int] = {labels: i for i, labels in enumerate(from_buckets.labels)}
    kept_classic, kept_native = from_buckets.present.copy(), native.present.copy()
    for i, labels in enumerate(native.labels):
        j = rows.get(without(labels, (classic.BUCKET_LABEL,)))
        if j is None:
            continue
        clash = native.present[i] & from_buckets.present[j]
        if bool(clash.any()):
            text = f"vector contains a mix of classic and native histograms{maybe_of(metric_name(labels))}"
            frame.query.annotations.warn(node, text)
            kept_native[i] &= ~clash
            kept_classic[j] &= ~clash
    parts = [replace(from_buckets, present=kept_classic), replace(native, present=kept_native)]
    return stack(parts, frame.steps.count).compact()


def _quantiles(frame: Frame, node: Node, vector: Vector, q: F64) -> Vector:
    def buckets(bounds: F64, counts: F64, step: int, name: str) -> float:
        value, fixed = classic.bucket_quantile(float(q[step]), bounds, counts)
        if fixed is not None:
            frame.query.annotations.fell(node, name, *fixed, frame.steps.start_ms + step * frame.steps.step_ms)
        return value

    def native(h: Histogram, step: int, name: str) -> float:
        value = shape.quantile(h, float(q[step]))
        if np.isnan(h.sum) and 0 <= q[step] <= 1:
            outcome = "is NaN" if np.isnan(value) else "is skewed higher"
            text = f"input to histogram_quantile has NaN observations, result {outcome}{maybe_of(name)}"
            frame.query.annotations.info(node, text)
        return value

    return _both(frame, node, vector, buckets, native)


def histogram_quantile(frame: Frame, call: Call) -> Vector:
    """The q-quantile of each histogram."""
    q = frame.scalar(call.args[0]).values
    classic.check_quantiles(frame, call.args[0], q)
    return _quantiles(frame, call.args[1], frame.vector(call.args[1]), q)


def histogram_quantiles(frame: Frame, call: Call) -> Vector:
    """Several quantiles, each under its own value of a label."""
    vector, label = frame.vector(call.args[0]), frame.text(call.args[1])
    parts: list[Vector] = []
    for arg in call.args[2:]:
        q = frame.scalar(arg).values
        classic.check_quantiles(frame, arg, q)
        found = _quantiles(frame, call.args[0], vector, q)
        for value in np.unique(q).tolist():
            here = found.present & (np.equal(q, value) | (np.isnan(q) & np.isnan(value)))[None, :]
            names = [make_labels({**dict(ls), label: _open_metrics(value)}) for ls in found.labels]
            parts.append(replace(found, labels=names, present=here).compact())
    return merge_over_steps(stack(parts, frame.steps.count))


def _open_metrics(value: float) -> str:
    """A float as OpenMetrics writes it: whole numbers have a point."""
    text = go_general(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def histogram_fraction(frame: Frame, call: Call) -> Vector:
    """The share of observations between two bounds."""
    lower, upper = (frame.scalar(a).values for a in call.args[:2])

    def buckets(bounds: F64, counts: F64, step: int, name: str) -> float:
        return classic.bucket_fraction(float(lower[step]), float(upper[step]), bounds, counts)

    def native(h: Histogram, step: int, name: str) -> float:
        if np.isnan(h.sum):
            said = "input to histogram_fraction has NaN observations, which are excluded from all fractions"
            frame.query.annotations.info(call.args[2], said + maybe_of(name))
        return shape.fraction(h, float(lower[step]), float(upper[step]))

    return _both(frame, call.args[2], frame.vector(call.args[2]), buckets, native)


def _of_each(read: Callable[[Histogram], float]) -> Callable[[Frame, Call], Vector]:
    return lambda frame, call: _native(frame.vector(call.args[0]), lambda h, step, name: read(h))


HISTOGRAMS: dict[str, Callable[[Frame, Call], Any]] = {
    "histogram_avg": _of_each(lambda h: h.sum / h.count if h.count else float("nan")),
    "histogram_count": _of_each(lambda h: h.count),
    "histogram_sum": _of_each(lambda h: h.sum),
    "histogram_stddev": _of_each(lambda h: float(np.sqrt(shape.variance(h)))),
    "histogram_stdvar": _of_each(shape.variance),
    "histogram_fraction": histogram_fraction,
    "histogram_quantile": histogram_quantile,
    "histogram_quantiles": histogram_quantiles,
}
