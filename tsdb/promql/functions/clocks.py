"""time(), timestamp(), the query's own start, end, step and range, and the calendar in UTC."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.elementwise import Function, mapped
from obs.tsdb.promql.operators import selector
from obs.tsdb.promql.plan import Call, Selector, unwrap
from obs.tsdb.promql.values import F64, I64, Scalar, Vector
from obs.tsdb.starts import at_times


def time(frame: Frame, call: Call) -> Scalar:
    """Each step's time in seconds."""
    return Scalar(frame.steps.times / 1000)


def timestamp(frame: Frame, call: Call) -> Vector:
    """The time of each sample: its own for a plain selector, the step's for anything else."""
    node = unwrap(call.args[0])
    if isinstance(node, Selector):
        found = selector.find(frame, node)
        series = found.series
        times = series.t_ms[found.rows] / 1000 if len(series.t_ms) else np.zeros(found.present.shape)
        drop = np.ones(len(series.labels), np.bool_)
        return Vector(series.labels, times, found.present, drop).compact()
    vector = frame.vector(call.args[0])
    return Vector(
        vector.labels,
        np.broadcast_to(frame.steps.times / 1000, vector.values.shape).copy(),
        vector.present,
        np.ones_like(vector.drop_name),
    )


def start_timestamp(frame: Frame, call: Call) -> Vector:
    """When what each sample of a plain selector counts began; nothing where start timestamps are not used."""
    node = unwrap(call.args[0])
    if frame.query.starts is None or not isinstance(node, Selector):
        return frame.vector(call.args[0]).rows(np.empty(0, np.int64))
    found = selector.find(frame, node)
    series = found.series
    t_ms = series.t_ms
    known = frame.query.starts.starts(series.labels, int(t_ms.min()), int(t_ms.max())) if len(t_ms) else {}
    begun = np.zeros(found.present.shape)
    for i, labels in enumerate(series.labels):
        if labels in known:
            begun[i] = at_times(t_ms[found.rows[i]], *known[labels]) / 1000
    return Vector(series.labels, begun, found.present, np.ones(len(series.labels), np.bool_)).compact()


def _of_query(read: Callable[[Frame], int]) -> Callable[[Frame, Call], Scalar]:
    return lambda frame, call: Scalar(np.full(frame.steps.count, read(frame) / 1000))


def _span(frame: Frame) -> int:
    steps = frame.query.steps
    return steps.end_ms - steps.start_ms


def _step(frame: Frame) -> int:
    steps = frame.query.steps
    return steps.step_ms if steps.end_ms != steps.start_ms else 0


def _calendar(field: Callable[[I64], I64 | F64]) -> Function:
    def function(frame: Frame, call: Call) -> Vector:
        if call.args:
            vector = frame.vector(call.args[0]).only_floats()
        else:
            times = (frame.steps.times / 1000)[None, :]
            vector = Vector([()], times, np.ones(times.shape, np.bool_), np.zeros(1, np.bool_))
        known = np.isfinite(vector.values)
        seconds = np.where(known, vector.values, 0).astype(np.int64)
        return mapped(vector, np.where(known, field(seconds).astype(np.float64), np.nan))

    return function


def _date(seconds: I64, unit: str) -> np.ndarray:
    return seconds.astype("datetime64[s]").astype(f"datetime64[{unit}]")


def _days(later: np.ndarray, earlier: np.ndarray) -> I64:
    return (later.astype("datetime64[D]") - earlier.astype("datetime64[D]")).astype(np.int64)


CLOCKS: dict[str, Callable[[Frame, Call], Scalar | Vector]] = {
    "time": time,
    "timestamp": timestamp,
    "start_timestamp": start_timestamp,
    "start": _of_query(lambda frame: frame.query.steps.start_ms),
    "end": _of_query(lambda frame: frame.query.steps.end_ms),
    "step": _of_query(_step),
    "range": _of_query(_span),
    "minute": _calendar(lambda s: s // 60 % 60),
    "hour": _calendar(lambda s: s // 3600 % 24),
    "day_of_week": _calendar(lambda s: (s // 86400 + 4) % 7),  # 1970-01-01 was a Thursday
    "day_of_month": _calendar(lambda s: _days(_date(s, "D"), _date(s, "M")) + 1),
    "day_of_year": _calendar(lambda s: _days(_date(s, "D"), _date(s, "Y")) + 1),
    "days_in_month": _calendar(lambda s: _days(_date(s, "M") + 1, _date(s, "M"))),
    "month": _calendar(lambda s: _date(s, "M").astype(np.int64) % 12 + 1),
    "year": _calendar(lambda s: _date(s, "Y").astype(np.int64) + 1970),
}
