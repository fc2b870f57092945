"""Functions of a range vector: each takes windows and gives one value per series and step.

Signature of all: (frame, call, windows) → Vector, so that aggregations can feed them slices of series.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from obs.errors import QueryError
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.functions import start_times
from obs.tsdb.promql.functions.rates import RATES
from obs.tsdb.promql.functions.window_vectors import Kernel, WindowFunction, floats, vector_of
from obs.tsdb.promql.plan import Call, Edge
from obs.tsdb.promql.values import F64, Bool, Vector, Windows


def _plain(name: str, *extra: Any) -> Kernel:
    """The kernel of that name in `kernels_windows`, called with the usual arguments and then `extra`."""

    def kernel(w: Windows) -> tuple[F64, Bool]:
        from obs.tsdb.promql import kernels_windows

        return getattr(kernels_windows, name)(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, *extra)

    return kernel


def _rows(w: Windows) -> tuple[Any, Any]:
    from obs.tsdb.promql.kernels_windows import rows_over_time

    return rows_over_time(w.offsets, w.t_ms, w.ends, w.range_ms)


def _extreme(sign: float) -> Kernel:
    def kernel(w: Windows) -> tuple[F64, Bool]:
        from obs.tsdb.promql.kernels_windows import extreme_over_time

        values, _, present = extreme_over_time(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, sign)
        return values, present

    return kernel


def _time_of_extreme(sign: float) -> Kernel:
    def kernel(w: Windows) -> tuple[F64, Bool]:
        from obs.tsdb.promql.kernels_windows import extreme_over_time

        _, rows, present = extreme_over_time(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, sign)
        return _seconds(w, rows, present), present

    return kernel


def _seconds(w: Windows, rows: Any, present: Bool) -> F64:
    times = w.t_ms[np.where(present, rows, 0)] if len(w.t_ms) else np.zeros(present.shape)
    return times / 1000


def _deviation(w: Windows) -> tuple[F64, Bool]:
    variance, present = _plain("variance_over_time")(w)
    return np.sqrt(variance), present


def _edge(last: bool, times: bool) -> WindowFunction:
    """first_over_time, last_over_time and the times of those samples; these see histograms as they are."""

    def function(frame: Frame, call: Call, w: Windows) -> Vector:
        first, end = _rows(w)
        present = end > first
        rows = np.where(present, end - 1 if last else first, 0)
        if times:
            return vector_of(w, _seconds(w, rows, present), present)
        values = w.values[rows] if len(w.values) else np.zeros(present.shape)
        result = Vector(w.labels, w.widen(values), w.widen(present), w.drop_name)
        if w.hists is not None and len(w.hists):
            result = replace(result, hists=w.widen(np.where(present, w.hists[rows], np.array(None))))
        return result.compact()

    return function


def _count(frame: Frame, call: Call, w: Windows) -> Vector:
    first, end = _rows(w)
    return vector_of(w, (end - first).astype(np.float64), end > first)


def _present(frame: Frame, call: Call, w: Windows) -> Vector:
    first, end = _rows(w)
    return vector_of(w, np.ones(first.shape), end > first)


def _quantile(frame: Frame, call: Call, windows: Windows) -> Vector:
    from obs.tsdb.promql.kernels_windows import quantile_over_time

    q = frame.scalar(call.args[0]).values

    def kernel(w: Windows) -> tuple[F64, Bool]:
        ends = np.repeat(w.ends, len(q)) if len(w.ends) != len(q) else w.ends
        found, present = quantile_over_time(w.offsets, w.t_ms, w.values, ends, w.range_ms, q)
        used = q[present.any(axis=0)]
        for value in np.unique(used[np.isnan(used) | (used < 0) | (used > 1)]).tolist():
            message = f"quantile value should be between 0 and 1, got {go_general(value)}"
            frame.query.annotations.warn(call.args[0], message)
        return found, present

    return floats(kernel)(frame, call, windows)


def _deriv(w: Windows) -> tuple[F64, Bool]:
    from obs.tsdb.promql.kernels_trends import deriv

    return deriv(w.offsets, w.t_ms, w.values, w.ends, w.range_ms)


def _predict(frame: Frame, call: Call, windows: Windows) -> Vector:
    from obs.tsdb.promql.kernels_trends import predict_linear

    ahead = frame.scalar(call.args[1]).values

    def kernel(w: Windows) -> tuple[F64, Bool]:
        return predict_linear(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, frame.steps.times, ahead)

    return floats(kernel)(frame, call, windows)


def _smoothing(frame: Frame, call: Call, windows: Windows) -> Vector:
    from obs.tsdb.promql.kernels_trends import smoothing

    level, trend = (frame.scalar(arg).values for arg in call.args[1:])
    bad_level, bad_trend = ((factors <= 0) | (factors >= 1) for factors in (level, trend))
    if bool((bad_level | bad_trend).any()):
        first, stop = _rows(windows)
        for step in np.nonzero((stop > first) & (bad_level | bad_trend))[1][:1].tolist():  # of the first such window
            name, factor, short = ("smoothing", level, "sf") if bad_level[step] else ("trend", trend, "tf")
            raise QueryError(f"invalid {name} factor. Expected: 0 < {short} < 1, got: {factor[step]:f}")

    def kernel(w: Windows) -> tuple[F64, Bool]:
        ends = np.repeat(w.ends, len(level)) if len(w.ends) != len(level) else w.ends
        return smoothing(w.offsets, w.t_ms, w.values, ends, w.range_ms, level, trend)

    return floats(kernel)(frame, call, windows)


def _integral(frame: Frame, call: Call, windows: Windows) -> Vector:
    """The area under the samples of each window in value times seconds; NaN counts as zero."""
    from obs.tsdb.promql.functions.integrals import LEFT, TRAPEZOIDS, integral

    strategy = frame.scalar(call.args[1]).values if len(call.args) > 1 else np.full(1, float(TRAPEZOIDS))
    known = np.isin(strategy, np.arange(LEFT, TRAPEZOIDS + 1))

    def kernel(w: Windows) -> tuple[F64, Bool]:
        first, stop = _rows(w)
        if len(strategy) == 1 or first.shape[1] == len(strategy):
            chosen = np.where(known, strategy, TRAPEZOIDS)
        else:
            chosen, first, stop = np.where(known, strategy, TRAPEZOIDS), w.widen(first), w.widen(stop)
        found, present = integral(w.t_ms, w.values, first, stop, np.broadcast_to(chosen, first.shape)), stop > first
        for value in np.unique(np.broadcast_to(strategy, first.shape)[present & ~np.broadcast_to(known, first.shape)]):
            message = f"strategy should be 0, 1, or 2 (default), using 2, got {go_general(float(value))}"
            frame.query.annotations.warn(call.args[1], message)
        return found, present

    return floats(kernel)(frame, call, windows)


def _sums(name: str) -> WindowFunction:
    """sum_over_time and avg_over_time, which add histograms too."""

    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_windows import summed

            return summed(frame, call, windows, name)
        return vector_of(windows, *_plain(name)(windows))

    return function


def _turns(falls_only: bool) -> WindowFunction:
    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        def floats(w: Windows) -> tuple[F64, Bool]:
            return _float_turns(frame, call, w, falls_only)

        if windows.hists is not None:
            from obs.tsdb.promql.functions import histogram_edges, histogram_windows

            each = histogram_windows.each_window if windows.edge is Edge.NONE else histogram_edges.each_window
            starts = start_times.starts_of(frame, call, windows) if falls_only else None
            return histogram_windows.turns(windows, falls_only, floats, each, starts.anew if starts else None)
        return vector_of(windows, *floats(windows))

    return function


def _float_turns(frame: Frame, call: Call, w: Windows, falls_only: bool) -> tuple[F64, Bool]:
    """Windows of floats alone."""
    from obs.tsdb.promql import kernels_edges

    if w.edge is Edge.NONE:
        out, present = _plain("turns_over_time", falls_only)(w)
        first, stop = _rows(w)
    else:
        out, present = kernels_edges.anchored_turns(
            w.offsets, w.t_ms, w.values, w.ends, w.range_ms, w.lookback_ms, falls_only
        )
        first, last = kernels_edges.all_edge_rows(w.offsets, w.t_ms, w.ends, w.range_ms, w.lookback_ms, False)
        stop = last + 1
    further = start_times.further_resets(frame, call, w, first, stop) if falls_only else None
    return (out if further is None else out + further), present


WINDOW_FUNCTIONS: dict[str, WindowFunction] = {
    **RATES,
    "deriv": floats(_deriv),
    "predict_linear": _predict,
    "double_exponential_smoothing": _smoothing,
    "holt_winters": _smoothing,
    "changes": _turns(falls_only=False),
    "resets": _turns(falls_only=True),
    "avg_over_time": _sums("avg_over_time"),
    "sum_over_time": _sums("sum_over_time"),
    "count_over_time": _count,
    "present_over_time": _present,
    "first_over_time": _edge(last=False, times=False),
    "last_over_time": _edge(last=True, times=False),
    "ts_of_first_over_time": _edge(last=False, times=True),
    "ts_of_last_over_time": _edge(last=True, times=True),
    "max_over_time": floats(_extreme(1.0)),
    "min_over_time": floats(_extreme(-1.0)),
    "ts_of_max_over_time": floats(_time_of_extreme(1.0)),
    "ts_of_min_over_time": floats(_time_of_extreme(-1.0)),
    "mad_over_time": floats(_plain("mad_over_time")),
    "integral": _integral,
    "quantile_over_time": _quantile,
    "stddev_over_time": floats(_deviation),
    "stdvar_over_time": floats(_plain("variance_over_time")),
}
