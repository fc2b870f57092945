"""An eval's result against the lines below it. Out: what differs, in words, or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from obs.model.labels import Labels
from obs.model.stale import STALE_BITS
from obs.tsdb.promql.histogram import UNKNOWN, Histogram
from obs.tsdb.promql.operators.matching import labels_text
from obs.tsdb.promql.result import Result
from obs.tsdb.promql.scripts.dialect import Command
from obs.tsdb.promql.scripts.notation import number, parse_series

TOLERANCE = 1e-6
"""Relative; what Prometheus's own runner allows."""


def almost_equal(a: float, b: float) -> bool:
    """Equal up to TOLERANCE; NaN equals NaN, a stale marker only itself."""
    if _stale(a) or _stale(b):
        return _stale(a) and _stale(b)
    if math.isnan(a) and math.isnan(b):
        return True
    if a == b:
        return True
    total, gap = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < 2.2250738585072014e-308:
        return gap < TOLERANCE * 2.2250738585072014e-308
    return gap / min(total, 1.7976931348623157e308) < TOLERANCE


def _stale(value: float) -> bool:
    return int(np.float64(value).view(np.int64)) == STALE_BITS


SAID_UNKNOWN = "unknown"
"""The hint of an expected histogram whose reset hint must be none; nothing is asked of it where it has none."""


def same_sample(got: object, want: object) -> bool:
    """Two samples: floats by `almost_equal`, histograms by their own comparison."""
    if isinstance(got, float) and isinstance(want, float):
        return almost_equal(got, want)
    return isinstance(got, Histogram) and isinstance(want, Histogram) and same_histogram(got, want)


def same_histogram(got: Histogram, want: Histogram) -> bool:
    """Equal layouts, counts up to TOLERANCE, and the counter reset hint where one is expected."""
    a, b = got.compact(), want.compact()
    if (a.schema, a.custom_values, set(a.positive), set(a.negative)) != (
        b.schema, b.custom_values, set(b.positive), set(b.negative),
    ):  # fmt: skip
        return False
    if (want.hint and got.hint != want.hint.replace(SAID_UNKNOWN, UNKNOWN)) or a.zero_threshold != b.zero_threshold:
        return False
    pairs = [(a.count, b.count), (a.sum, b.sum), (a.zero_count, b.zero_count)]
    pairs += [(a.positive[i], b.positive[i]) for i in a.positive]
    pairs += [(a.negative[i], b.negative[i]) for i in a.negative]
    return all(almost_equal(x, y) for x, y in pairs)


def sample(result: Result, row: int, col: int) -> object:
    """The sample of a cell: a float or a histogram."""
    hist = None if result.hists is None else result.hists[row, col]
    return float(result.values[row, col]) if hist is None else hist


def difference(command: Command, result: Result, column: int = 0) -> str:
    """What is wrong with a result, "" where nothing is."""
    if command.string is not None:
        return "" if result.kind == "string" and result.text == command.string else f"string is {result.text!r}"
    if command.grid is not None:
        return _series(command, result, command.grid)
    if not command.instant:
        return _series(command, result, (command.start_ms, command.end_ms, command.step_ms))
    if result.kind == "scalar" or _is_number(command.body):
        want = number(command.body[0]) if _is_number(command.body) else math.nan
        if result.kind == "vector":
            return "expected a scalar, got a vector"
        got = float(result.values[0, column])
        return "" if almost_equal(got, want) else f"expected {want}, got {got}"
    return _vector(command, result, column)


def _is_number(body: Sequence[str]) -> bool:
    try:
        return len(body) == 1 and not math.isinf(0 * len(body)) and number(body[0]) is not None
    except ValueError:
        return False


def _vector(command: Command, result: Result, column: int) -> str:
    want = [parse_series(line) for line in command.body]
    rows = [i for i in range(len(result.labels)) if result.present[i, column]]
    got = {result.labels[i]: sample(result, i, column) for i in rows}
    if command.ordered and [labels for labels, _ in want] != [result.labels[i] for i in rows]:
        return f"order is {', '.join(labels_text(result.labels[i]) for i in rows)}"
    for labels, values in want:
        if labels not in got:
            return f"expected {labels_text(labels)} {_shown(values[0])} is missing; got {_all(got)}"
        if not same_sample(got[labels], values[0]):
            return f"{labels_text(labels)}: expected {_shown(values[0])}, got {_shown(got[labels])}"
    extra = set(got) - {labels for labels, _ in want}
    return f"unexpected {', '.join(f'{labels_text(e)} {_shown(got[e])}' for e in sorted(extra))}" if extra else ""


def _series(command: Command, result: Result, grid: tuple[int, int, int]) -> str:
    start, end, step = grid
    got: dict[Labels, dict[int, object]] = {}
    times = result.times.tolist()
    for row, labels in enumerate(result.labels):
        got[labels] = {times[c]: sample(result, row, c) for c in np.flatnonzero(result.present[row]).tolist()}
    want: dict[Labels, dict[int, object]] = {}
    for line in command.body:
        labels, values = _series_line(line)
        points = {start + i * step: v for i, v in enumerate(values) if v is not None}
        if any(t > end for t in points):
            return f"{labels_text(labels)}: more values than steps are expected"
        want[labels] = points
    for labels in sorted(set(got) | set(want)):
        fault = _points(labels, got.get(labels), want.get(labels))
        if fault:
            return fault
    return ""


def _series_line(line: str) -> tuple[Labels, list[object | None]]:
    if line[0].isdigit() or line[0] in "+-.":  # values without labels: a scalar's series
        return (), parse_series("{} " + line)[1]
    return parse_series(line)


def _points(labels: Labels, got: dict[int, object] | None, want: dict[int, object] | None) -> str:
    if want is None or got is None:
        if not want and not got:
            return ""
        return f"{'unexpected' if want is None else 'missing'} series {labels_text(labels)}"
    for t in sorted(set(got) | set(want)):
        if t not in got or t not in want or not same_sample(got[t], want[t]):
            return f"{labels_text(labels)} at {t / 1000:g}s: expected {_shown(want.get(t))}, got {_shown(got.get(t))}"
    return ""


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)


def _all(got: dict[Labels, object]) -> str:
    return ", ".join(f"{labels_text(k)} {_shown(v)}" for k, v in list(got.items())[:5]) or "nothing"
