"""rate, increase, delta, irate and idelta: how floats change over a window; histograms have a file of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.model.labels import METRIC_NAME, METRIC_TYPE
from obs.model.ports import Laid
from obs.tsdb.promql.annotations import go_quote
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions import start_edges, start_times
from obs.tsdb.promql.functions.histogram_windows import range_node
from obs.tsdb.promql.functions.window_vectors import WindowFunction, vector_of
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.operators.selector import ends
from obs.tsdb.promql.plan import Call, Edge, RangeSelector
from obs.tsdb.promql.values import F64, Bool, Vector, Windows, metric_names

InPlace = Callable[[Frame, Call, RangeSelector, Laid], Vector]
"""A function over the floats of plain windows, of samples that are read where they lie."""

_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def _rates(is_counter: bool, is_rate: bool) -> WindowFunction:
    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        if windows.edge is not Edge.NONE:
            return _extended(frame, call, windows, is_counter, is_rate)
        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_rates import extrapolated

            return extrapolated(frame, call, windows, is_counter, is_rate)
        result = vector_of(windows, *float_rates(frame, call, windows, is_counter, is_rate))
        if is_counter:
            hint_counter(frame, call, result)
        return result

    return function


def float_rates(frame: Frame, call: Call, w: Windows, is_counter: bool, is_rate: bool) -> tuple[F64, Bool]:
    """Windows of floats alone."""
    from obs.tsdb.promql import kernels_rates

    by_starts = start_times.counted(frame, call, w, is_rate) if is_counter else None
    if by_starts is not None:
        return by_starts
    return kernels_rates.extrapolated(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, is_counter, is_rate)


def _where_laid(is_counter: bool, is_rate: bool) -> InPlace:
    def function(frame: Frame, call: Call, node: RangeSelector, laid: Laid) -> Vector:
        from obs.tsdb.promql import kernels_rates

        width = frame.steps.count
        frame.query.make_room(width, len(laid.labels))
        look = ends(frame, node.selector.offset_ms, node.selector.at)
        out, present, rows = kernels_rates.extrapolated_where_laid(
            laid.times, laid.values, laid.lengths, laid.first, look, node.range_ms, is_counter, is_rate
        )
        frame.query.count(int(np.count_nonzero(rows)), int(rows.sum()))
        if len(look) != width:
            out, present = np.repeat(out, width, axis=1), np.repeat(present, width, axis=1)
        result = Vector(laid.labels, out, present, np.ones(len(rows), np.bool_)).compact()
        if is_counter:
            hint_counter(frame, call, result)
        return result

    return function


def _extended(frame: Frame, call: Call, windows: Windows, is_counter: bool, is_rate: bool) -> Vector:
    """rate, increase and delta of anchored and smoothed windows."""
    from obs.tsdb.promql import kernels_edges

    def floats(w: Windows) -> tuple[F64, Bool]:
        starts = start_times.starts_of(frame, call, w) if is_counter else None
        if starts is not None:
            return start_edges.extended(w, starts, is_rate)
        return kernels_edges.extended(
            w.offsets, w.t_ms, w.values, w.ends, w.range_ms, w.lookback_ms, w.edge is Edge.SMOOTHED, is_counter, is_rate
        )

    if windows.hists is None:
        result = vector_of(windows, *floats(windows))
    else:
        from obs.tsdb.promql.functions.histogram_edges import each_unmixed, increase
        from obs.tsdb.promql.functions.histogram_windows import Window, with_histograms

        def one(w: Window) -> Histogram | None:
            grown = increase(frame, call, windows, w, is_counter)
            return grown.divide(windows.range_ms / 1000) if grown is not None and is_rate else grown

        result = with_histograms(frame, call, windows, floats, one, each_unmixed)[0]
    if is_counter:
        hint_counter(frame, call, result.only_floats().compact())
    return result


def hint_counter(frame: Frame, call: Call, result: Vector) -> None:
    """An info for each metric that is rated but not named like a counter."""
    if frame.query.options.typed:
        _hint_type(frame, call, result)
        return
    for name in metric_names(result.labels):
        if name and not name.endswith(_COUNTER_ENDINGS):
            message = (
                f"metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {go_quote(name)}"
            )
            frame.query.annotations.info(range_node(call), message)


def _hint_type(frame: Frame, call: Call, result: Vector) -> None:
    """The same where series say their type."""
    for labels in map(dict, result.labels):
        name, kind = labels.get(METRIC_NAME, ""), labels.get(METRIC_TYPE, "")
        if name and kind not in ("counter", "histogram"):
            cause = '__type__ label is not set to "counter" or "histogram"'
            message = f"metric might not be a counter, {cause}, got {go_quote(kind)}: {go_quote(name)}"
            frame.query.annotations.info(range_node(call), message)


def float_steps(frame: Frame, call: Call, w: Windows, is_rate: bool) -> tuple[F64, Bool]:
    """The last two samples of windows of floats alone."""
    from obs.tsdb.promql import kernels

    by_starts = start_times.last_step(frame, call, w) if is_rate else None
    return by_starts or kernels.instant_delta(w.offsets, w.t_ms, w.values, w.ends, w.range_ms, is_rate)


def _last_two(is_rate: bool) -> WindowFunction:
    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_rates import last_two

            return last_two(frame, call, windows, is_rate)
        return vector_of(windows, *float_steps(frame, call, windows, is_rate))

    return function


RATES: dict[str, WindowFunction] = {
    "rate": _rates(is_counter=True, is_rate=True),
    "increase": _rates(is_counter=True, is_rate=False),
    "delta": _rates(is_counter=False, is_rate=False),
    "irate": _last_two(is_rate=True),
    "idelta": _last_two(is_rate=False),
}

IN_PLACE: dict[str, InPlace] = {
    "rate": _where_laid(is_counter=True, is_rate=True),
    "increase": _where_laid(is_counter=True, is_rate=False),
    "delta": _where_laid(is_counter=False, is_rate=False),
}
"""Of those above the ones that need no copy of the samples, where start timestamps are not asked for."""
