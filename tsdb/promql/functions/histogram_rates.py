"""rate, increase, delta, irate and idelta of native histograms.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
"""

from __future__ import annotations

import numpy as np

from obs.tsdb.promql.annotations import MIXED_BUCKETS, go_quote, maybe_of
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.histogram_windows import Window, range_node, with_histograms
from obs.tsdb.promql.functions.start_times import coverage, starts_of
from obs.tsdb.promql.histogram import GAUGE, Histogram
from obs.tsdb.promql.histogram_sums import Incompatible, add, detect_reset
from obs.tsdb.promql.plan import Call
from obs.tsdb.promql.values import F64, Bool, Vector, Windows, metric_name

BY_STARTS = ("rate", "increase", "irate", "resets")
"""The functions that heed start timestamps."""


class Rates:
    """The windows of one call, and what is said about them."""

    def __init__(self, frame: Frame, call: Call, windows: Windows) -> None:
        assert windows.hists is not None
        self.windows, self.hists = windows, windows.hists
        self.notes, self.node = frame.query.annotations, range_node(call)
        self.starts = starts_of(frame, call, windows) if call.name in BY_STARTS else None

    def name(self, w: Window) -> str:
        """The metric."""
        return metric_name(self.windows.labels[w.series])

    def warn_kind(self, w: Window, kind: str) -> None:
        """A warning that the metric is of another kind."""
        self.notes.warn(self.node, f"this native histogram metric is not a {kind}: {go_quote(self.name(w))}")

    def warn_mixed(self, w: Window) -> None:
        """A warning that custom and exponential buckets meet."""
        self.notes.warn(self.node, f"{MIXED_BUCKETS}{maybe_of(self.name(w))}")

    def combined(self, a: Histogram, b: Histogram, sign: float) -> Histogram:
        """a + sign * b, with what is to be said of it. Raises: Incompatible."""
        outcome = add(a, b, sign)
        if outcome.reconciled:
            said = "addition" if sign > 0 else "subtraction"
            self.notes.info(self.node, f"mismatched custom buckets were reconciled during {said}")
        return outcome.value

    def increase(self, w: Window, is_counter: bool) -> Histogram | None:
        """The difference of the last and the first histogram, what was lost at resets added back."""
        points: list[Histogram] = list(self.hists[w.lo : w.hi])
        self.check_hints(w, points, is_counter)
        first, last = points[0], points[-1]
        if is_counter and self.anew(w.lo + 1, first):
            # Nothing of a first sample before a reset counts, whatever its layout is.
            first = Histogram(
                points[1].schema, custom_values=points[1].custom_values, zero_threshold=points[1].zero_threshold
            )
        if any(p.is_custom != last.is_custom for p in [first, *(points[1:] if is_counter else [])]):
            self.warn_mixed(w)
            return None
        result = last.to_schema(min(p.schema for p in (first, last, *(points[1:-1] if is_counter else ()))))
        result = self.combined(result, first, -1.0)
        before = first
        for row in range(w.lo + 1, w.hi if is_counter else 0):
            if self.anew(row, before):
                result = self.combined(result, before, 1.0)
            before = self.hists[row]
        return result.with_hint(GAUGE).compact()

    def anew(self, row: int, before: Histogram) -> bool:
        """Whether the histogram of a row does not go on from the one before it."""
        return (self.starts is not None and bool(self.starts.anew[row])) or detect_reset(self.hists[row], before)

    def from_start(self, w: Window, is_rate: bool) -> Histogram | None:
        """rate and increase where starts are used: one that lies in the window stands for an empty histogram there."""
        assert self.starts is not None
        lo, hi = np.array([[w.lo]]), np.array([[w.hi - 1]])
        first: Histogram = self.hists[w.lo]
        result = self.increase(w, True) if w.hi - w.lo > 1 else None
        if result is None and w.hi - w.lo > 1:
            return None
        if bool(self.starts.overlaps[w.lo + 1 : w.hi].any()):
            self.notes.overlaps(self.node, self.name(w), 1)
        counts = [np.array([[h.count if h is not None else 0.0]]) for h in (first, result)]
        factor, zero = coverage(self.windows, self.starts, self.windows.ends[[[w.step]]], lo, hi, *counts)
        if zero[0, 0]:
            try:
                result = first if result is None else self.combined(result, first, 1.0).with_hint(GAUGE)
            except Incompatible:
                self.warn_mixed(w)
                return None
        per = self.windows.range_ms / 1000 if is_rate else 1.0
        return None if result is None else result.scale(float(factor[0, 0]) / per)

    def check_hints(self, w: Window, points: list[Histogram], is_counter: bool) -> None:
        """Say where gauges are taken for counters, or counters for gauges."""
        if is_counter and any(p.hint == GAUGE for p in points):
            self.warn_kind(w, "counter")
        if not is_counter and (points[0].hint != GAUGE or points[-1].hint != GAUGE):
            self.warn_kind(w, "gauge")

    def last_step(self, w: Window, is_rate: bool) -> Histogram | None:
        """From the last two histograms of the window."""
        before, now = self.hists[w.hi - 2], self.hists[w.hi - 1]
        gauges = (before.hint == GAUGE, now.hint == GAUGE)
        if is_rate and any(gauges):
            self.warn_kind(w, "counter")
        if not is_rate and not all(gauges):
            self.warn_kind(w, "gauge")
        result: Histogram = now
        if not is_rate or not self.anew(w.hi - 1, before):
            try:
                result = self.combined(now, before, -1.0)
            except Incompatible:
                self.warn_mixed(w)
                return None
        t = self.windows.t_ms
        result = result.with_hint(GAUGE).compact()
        return result.divide((int(t[w.hi - 1]) - int(t[w.hi - 2])) / 1000) if is_rate else result


def extrapolated(frame: Frame, call: Call, windows: Windows, is_counter: bool, is_rate: bool) -> Vector:
    """rate, increase and delta."""
    from obs.tsdb.promql import kernels_rates
    from obs.tsdb.promql.functions.rates import float_rates, hint_counter

    rates = Rates(frame, call, windows)

    def floats(w: Windows) -> tuple[F64, Bool]:
        return float_rates(frame, call, w, is_counter, is_rate)

    def one(w: Window) -> Histogram | None:
        if rates.starts is not None:
            return rates.from_start(w, is_rate)
        if w.hi - w.lo < 2:
            return None
        result = rates.increase(w, is_counter)
        if result is None:
            return None
        t, end = windows.t_ms, int(windows.ends[w.step])
        first: Histogram = rates.hists[w.lo]
        covered = kernels_rates.extrapolation(
            int(t[w.lo]), int(t[w.hi - 1]), w.hi - 1 - w.lo, end - windows.range_ms, end,
            float(first.count), float(result.count), is_counter,
        )  # fmt: skip
        per = windows.range_ms / 1000 if is_rate else 1.0
        return result.scale(covered / (int(t[w.hi - 1] - t[w.lo]) * per))

    vector = with_histograms(frame, call, windows, floats, one)[0]
    if is_counter:
        hint_counter(frame, call, vector.only_floats().compact())
    return vector


def last_two(frame: Frame, call: Call, windows: Windows, is_rate: bool) -> Vector:
    """irate and idelta; only the last two samples decide whether a window is one of floats or of histograms."""
    from obs.tsdb.promql.functions.rates import float_steps

    rates = Rates(frame, call, windows)
    ends = [(w, _narrowed(windows, w)) for w in _windows_of_two(windows)]
    w = windows
    values, present = float_steps(frame, call, windows, is_rate)
    present, hists = present.copy(), np.full(present.shape, None, np.object_)
    for window, count in ends:
        if count == 0:
            continue
        present[window.series, window.step] = False
        if count == 1:
            text = f"encountered a mix of histograms and floats{maybe_of(rates.name(window))}"
            rates.notes.warn(rates.node, text)
            continue
        outcome = rates.last_step(window, is_rate)
        if outcome is not None:
            hists[window.series, window.step], present[window.series, window.step] = outcome, True
    drop = np.ones(windows.series, np.bool_)
    return Vector(windows.labels, w.widen(values), w.widen(present), drop, w.widen(hists)).compact()


def _windows_of_two(windows: Windows) -> list[Window]:
    from obs.tsdb.promql.functions.histogram_windows import each_window

    return [w for w in each_window(windows) if w.hi - w.lo >= 2]


def _narrowed(windows: Windows, w: Window) -> int:
    """How many of the last two samples are histograms."""
    assert windows.hists is not None
    return sum(isinstance(h, Histogram) for h in windows.hists[w.hi - 2 : w.hi])
