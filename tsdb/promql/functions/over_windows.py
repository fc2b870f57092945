"""Functions of a range vector: each takes windows and gives one value per series and step.

Signature of all: (frame, call, windows) → Vector, so that aggregations can feed them slices of series.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from obs.errors import QueryError
from obs.tsdb.promql.annotations import go_quote
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.plan import Call, Edge
from obs.tsdb.promql.values import F64, Bool, Vector, Windows, metric_names

WindowFunction = Callable[[Frame, Call, Windows], Vector]
Kernel = Callable[[Windows], tuple[F64, Bool]]

_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def floats(kernel: Kernel, keeps_name: bool = False) -> WindowFunction:
    """A function over the floats of each window; histograms are left out, with an info where floats are there too."""

    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_windows import drop_histograms

            windows = drop_histograms(frame, call, windows)
        return vector_of(windows, *kernel(windows), keeps_name=keeps_name)

    return function


def vector_of(windows: Windows, values: F64, present: Bool, keeps_name: bool = False) -> Vector:
    """The result of a kernel as a vector; the metric name goes, but for functions that give samples back unchanged."""
    drop = windows.drop_name if keeps_name else np.ones(windows.series, np.bool_)
    return Vector(windows.labels, windows.widen(values), windows.widen(present), drop).compact()


def _rates(is_counter: bool, is_rate: bool) -> WindowFunction:
    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        from obs.tsdb.promql import kernels

        if windows.edge is not Edge.NONE:
            return _extended(frame, call, windows, is_counter, is_rate)
        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_rates import extrapolated

            return extrapolated(frame, call, windows, is_counter, is_rate)
        w = windows
        values, present = kernels.extrapolated(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, is_counter, is_rate)
        result = vector_of(windows, values, present)
        if is_counter:
            hint_counter(frame, call, result)
        return result

    return function


def _extended(frame: Frame, call: Call, windows: Windows, is_counter: bool, is_rate: bool) -> Vector:
    """rate, increase and delta of anchored and smoothed windows."""
    from obs.tsdb.promql import kernels_edges

    def floats(w: Windows) -> tuple[F64, Bool]:
        return kernels_edges.extended(
            w.offsets, w.t_ms, w.values, w.ends, w.range_ms, w.lookback_ms, w.edge is Edge.SMOOTHED, is_counter, is_rate
        )

    if windows.hists is None:
        result = vector_of(windows, *floats(windows))
    else:
        from obs.tsdb.promql.functions.histogram_edges import each_window, increase
        from obs.tsdb.promql.functions.histogram_windows import Window, with_histograms

        def one(w: Window) -> Histogram | None:
            grown = increase(frame, call, windows, w, is_counter)
            return grown.divide(windows.range_ms / 1000) if grown is not None and is_rate else grown

        result = with_histograms(frame, call, windows, floats, one, each_window)[0]
    if is_counter:
        hint_counter(frame, call, result.only_floats().compact())
    return result


def hint_counter(frame: Frame, call: Call, result: Vector) -> None:
    """An info for each metric that is rated but not named like a counter."""
    for name in metric_names(result.labels):
        if name and not name.endswith(_COUNTER_ENDINGS):
            message = (
                f"metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {go_quote(name)}"
            )
            frame.query.annotations.info(call.args[0], message)


def _last_two(is_rate: bool) -> WindowFunction:
    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        from obs.tsdb.promql import kernels

        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_rates import last_two

            return last_two(frame, call, windows, is_rate)
        w = windows
        result = vector_of(w, *kernels.instant_delta(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, is_rate))
        if is_rate:
            hint_counter(frame, call, result)
        return result

    return function


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
    for value in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]).tolist():
        message = f"quantile value should be between 0 and 1, got {go_general(value)}"
        frame.query.annotations.warn(call.args[0], message)

    def kernel(w: Windows) -> tuple[F64, Bool]:
        ends = np.repeat(w.ends, len(q)) if len(w.ends) != len(q) else w.ends
        return quantile_over_time(w.offsets, w.t_ms, w.values, ends, w.range_ms, q)

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
    for name, factors, short in (("smoothing", level, "sf"), ("trend", trend, "tf")):
        bad = factors[~((factors > 0) & (factors < 1))]
        if len(bad):
            raise QueryError(f"invalid {name} factor. Expected: 0 < {short} < 1, got: {bad[0]:f}")

    def kernel(w: Windows) -> tuple[F64, Bool]:
        ends = np.repeat(w.ends, len(level)) if len(w.ends) != len(level) else w.ends
        return smoothing(w.offsets, w.t_ms, w.values, ends, w.range_ms, level, trend)

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
        if windows.hists is not None:
            from obs.tsdb.promql.functions import histogram_edges, histogram_windows

            each = histogram_windows.each_window if windows.edge is Edge.NONE else histogram_edges.each_window
            return histogram_windows.turns(windows, falls_only, each)
        if windows.edge is not Edge.NONE:
            from obs.tsdb.promql.kernels_edges import anchored_turns

            w = windows
            found = anchored_turns(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, w.lookback_ms, falls_only)
            return vector_of(windows, *found)
        return vector_of(windows, *_plain("turns_over_time", falls_only)(windows))

    return function


WINDOW_FUNCTIONS: dict[str, WindowFunction] = {
    "rate": _rates(is_counter=True, is_rate=True),
    "increase": _rates(is_counter=True, is_rate=False),
    "delta": _rates(is_counter=False, is_rate=False),
    "irate": _last_two(is_rate=True),
    "idelta": _last_two(is_rate=False),
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
    "quantile_over_time": _quantile,
    "stddev_over_time": floats(_deviation),
    "stdvar_over_time": floats(_plain("variance_over_time")),
}
