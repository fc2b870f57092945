"""The PromQL kernels against plain Python twins that take each window by itself, as the documentation describes it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs.model.stale import STALE
from obs.tsdb.promql import kernels, kernels_groups, kernels_rates, kernels_trends, kernels_windows

Window = list[tuple[int, float]]
Twin = Callable[[Window, int, int], float | None]

values = st.one_of(st.integers(-5, 20).map(float), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, 0.0]))
series = st.lists(st.tuples(st.integers(0, 200), values), max_size=30, unique_by=lambda s: s[0]).map(sorted)
grids = st.tuples(st.integers(-20, 50), st.integers(1, 40), st.integers(1, 12))


def columns(data: Sequence[Window]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concatenated offsets, times in milliseconds and values."""
    offsets = np.cumsum([0, *(len(s) for s in data)]).astype(np.int64)
    flat = [sample for s in data for sample in s]
    times = np.array([t * 1000 for t, _ in flat], np.int64)
    return offsets, times, np.array([v for _, v in flat], np.float64)


def increase(window: Window, left: int, right: int, counter: bool = True) -> float | None:
    if len(window) < 2:
        return None
    result = window[-1][1] - window[0][1]
    if counter:
        for (_, a), (_, b) in pairwise(window):
            if b < a:
                result += a
    sampled = float(window[-1][0] - window[0][0])
    average = sampled / (len(window) - 1)
    start, end = float(window[0][0] - left), float(right - window[-1][0])
    if start >= average * 1.1:
        start = average / 2
    if counter and result > 0 and window[0][1] >= 0:
        start = min(start, sampled * (window[0][1] / result))
    if end >= average * 1.1:
        end = average / 2
    return result * ((sampled + start + end) / sampled)


def irate(window: Window, left: int, right: int) -> float | None:
    if len(window) < 2:
        return None
    (t0, a), (t1, b) = window[-2:]
    return (b if b < a else b - a) / (t1 - t0)


def extreme(pick: Callable[[Sequence[float]], float]) -> Twin:
    def twin(window: Window, left: int, right: int) -> float | None:
        if not window:
            return None
        numbers = [v for _, v in window if not math.isnan(v)]
        return pick(numbers) if numbers else math.nan

    return twin


def total(window: Window, left: int, right: int) -> float | None:
    if not window:
        return None
    if all(math.isfinite(v) for _, v in window):
        return math.fsum(v for _, v in window)
    return sum(v for _, v in window)


def mean(window: Window, left: int, right: int) -> float | None:
    whole = total(window, left, right)
    return None if whole is None else whole / len(window)


def changes(window: Window, left: int, right: int) -> float | None:
    if not window:
        return None
    pairs = pairwise(window)
    return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for (_, a), (_, b) in pairs))


def resets(window: Window, left: int, right: int) -> float | None:
    return float(sum(b < a for (_, a), (_, b) in pairwise(window))) if window else None


def quantile(window: Window, left: int, right: int) -> float | None:
    if not window:
        return None
    ordered = sorted((v for _, v in window), key=lambda v: (not math.isnan(v), 0.0 if math.isnan(v) else v))
    rank = 0.3 * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)


def slope(window: Window, left: int, right: int) -> float | None:
    if len(window) < 2:
        return None
    if any(not math.isfinite(v) for _, v in window):
        return math.nan
    if all(v == window[0][1] for _, v in window):
        return 0.0
    n = len(window)
    xs, ys = [t - window[0][0] for t, _ in window], [v for _, v in window]
    mx, my = math.fsum(xs) / n, math.fsum(ys) / n
    return math.fsum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / math.fsum((x - mx) ** 2 for x in xs)


K, W = kernels, kernels_windows
KERNELS: dict[str, tuple[Callable[..., object], Twin]] = {
    "rate": (lambda o, t, v, e, r: kernels_rates.extrapolated(o, t, v, e, r, True, False), increase),
    "delta": (
        lambda o, t, v, e, r: kernels_rates.extrapolated(o, t, v, e, r, False, False),
        lambda w, a, b: increase(w, a, b, counter=False),
    ),
    "irate": (lambda o, t, v, e, r: K.instant_delta(o, t, v, e, r, True), irate),
    "sum": (W.sum_over_time, total),
    "avg": (W.avg_over_time, mean),
    "max": (lambda o, t, v, e, r: W.extreme_over_time(o, t, v, e, r, 1.0)[::2], extreme(max)),
    "min": (lambda o, t, v, e, r: W.extreme_over_time(o, t, v, e, r, -1.0)[::2], extreme(min)),
    "changes": (lambda o, t, v, e, r: W.turns_over_time(o, t, v, e, r, False), changes),
    "resets": (lambda o, t, v, e, r: W.turns_over_time(o, t, v, e, r, True), resets),
    "quantile": (lambda o, t, v, e, r: W.quantile_over_time(o, t, v, e, r, np.full(len(e), 0.3)), quantile),
    "deriv": (kernels_trends.deriv, slope),
}


def same(got: float, want: float) -> bool:
    """Equal up to the rounding of another order of additions; infinities and NaN count as one: not finite."""
    if not (math.isfinite(got) and math.isfinite(want)):
        return not math.isfinite(got) and not math.isfinite(want)
    return math.isclose(got, want, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.parametrize("name", sorted(KERNELS))
@examples(60)
@given(data=st.lists(series, max_size=3), grid=grids, range_s=st.integers(1, 120))
def test_windows(name: str, data: list[Window], grid: tuple[int, int, int], range_s: int) -> None:
    kernel, twin = KERNELS[name]
    start, step, count = grid
    ends = [start + i * step for i in range(count)]
    out, present = kernel(*columns(data), np.array(ends, np.int64) * 1000, range_s * 1000)  # type: ignore[misc]
    for i, samples in enumerate(data):
        for j, end in enumerate(ends):
            window = [s for s in samples if end - range_s < s[0] <= end]
            want = twin(window, end - range_s, end)
            assert bool(present[i, j]) == (want is not None)
            if want is not None:
                assert same(float(out[i, j]), want), (window, end)


@examples(60)
@given(data=st.lists(series, max_size=3), grid=grids, lookback_s=st.integers(1, 120))
def test_last_sample(data: list[Window], grid: tuple[int, int, int], lookback_s: int) -> None:
    data = [[(t, STALE if v == 7 else v) for t, v in s] for s in data]
    offsets, times, numbers = columns(data)
    ends = [grid[0] + i * grid[1] for i in range(grid[2])]
    look = np.array(ends, np.int64) * 1000
    out, _, present = K.last_sample(offsets, times, numbers, numbers.view(np.int64), look, lookback_s * 1000)
    stale = np.float64(STALE).view(np.int64)
    for i, samples in enumerate(data):
        for j, end in enumerate(ends):
            window = [v for t, v in samples if end - lookback_s < t <= end]
            there = bool(window) and np.float64(window[-1]).view(np.int64) != stale
            assert bool(present[i, j]) == there
            assert not there or math.isnan(window[-1]) or out[i, j] == window[-1]


matrices = st.lists(st.lists(st.one_of(st.none(), values), min_size=3, max_size=3), min_size=1, max_size=8)


@examples(80)
@given(rows=matrices, seed=st.integers(0, 3))
def test_folds(rows: list[list[float | None]], seed: int) -> None:
    present = np.array([[v is not None for v in row] for row in rows])
    matrix = np.array([[0.0 if v is None else v for v in row] for row in rows])
    group = np.arange(len(rows), dtype=np.int64) % (seed + 1)
    shape = (seed + 1, 3)
    count, total_, lost = (np.zeros(shape) for _ in range(3))
    kernels_groups.fold_sum(matrix, present, group, count, total_, lost)
    seen, best = np.zeros(shape), np.zeros(shape)
    kernels_groups.fold_extreme(matrix, present, group, seen, best, 1.0)
    for g in range(seed + 1):
        for step in range(3):
            cells = [(0, matrix[i, step]) for i in range(len(rows)) if group[i] == g and present[i, step]]
            assert count[g, step] == seen[g, step] == len(cells)
            if cells:
                want = total(cells, 0, 0)
                assert want is not None and same(total_[g, step] + lost[g, step], want)
                top = extreme(max)(cells, 0, 0)
                assert top is not None and same(best[g, step], top)


@examples(80)
@given(rows=matrices, k=st.integers(0, 5))
def test_pick(rows: list[list[float | None]], k: int) -> None:
    present = np.array([[v is not None for v in row] for row in rows])
    matrix = np.array([[0.0 if v is None else v for v in row] for row in rows])
    order, bounds = np.arange(len(rows), dtype=np.int64), np.array([0, len(rows)], np.int64)
    chosen = kernels_groups.pick(matrix, present, order, bounds, np.full(3, k, np.int64), 1.0)
    for step in range(3):
        there = [i for i in range(len(rows)) if present[i, step]]
        ranked = sorted(there, key=lambda i: (math.isnan(matrix[i, step]), -matrix[i, step]))[:k]
        assert sorted(np.flatnonzero(chosen[:, step]).tolist()) == sorted(ranked)


numbers_or_none = st.one_of(st.none(), *[st.integers(0, 20).map(float)] * 5)


@examples(150)
@given(
    some=st.lists(numbers_or_none, min_size=12, max_size=40), first=st.integers(0, 9), hop=st.integers(1, 3),
    across=st.integers(2, 7), is_counter=st.booleans(),
)  # fmt: skip
def test_rates_of_samples_left_out(
    some: list[float | None], first: int, hop: int, across: int, is_counter: bool
) -> None:
    """A sample each ten seconds, some left out: windows are much like the one before, but not quite."""
    samples = [(first + 10 * i, value) for i, value in enumerate(some) if value is not None]
    ends, range_s = range(0, 10 * len(some) + 60, 10 * hop), 10 * across
    windows = (*columns([samples]), np.array(ends, np.int64) * 1000, range_s * 1000)
    out, present = kernels_rates.extrapolated(*windows, is_counter, False)
    for step, end in enumerate(ends):
        window = [s for s in samples if end - range_s < s[0] <= end]
        want = increase(window, end - range_s, end, is_counter)
        assert bool(present[0, step]) == (want is not None)
        assert want is None or same(float(out[0, step]), want), (window, end)


pieces = st.lists(st.lists(st.tuples(st.integers(0, 60), st.one_of(values, st.just(STALE))), max_size=8), max_size=4)


@examples(100)
@given(data=st.lists(pieces, max_size=4), grid=grids, range_s=st.integers(1, 60), is_counter=st.booleans())
def test_rates_where_samples_lie(
    data: list[list[Window]], grid: tuple[int, int, int], range_s: int, is_counter: bool
) -> None:
    """Of several pieces a series is what was written last at each time, without stale markers."""
    start, step, count = grid
    ends = np.array([start + i * step for i in range(count)], np.int64) * 1000
    parts = [[sorted(dict(piece).items()) for piece in each] for each in data]
    flat = [columns([piece])[1:] for each in parts for piece in each]
    first = np.cumsum([0, *map(len, parts)])
    places = (np.array([column.ctypes.data for column in side], np.int64) for side in zip(*flat, strict=True))
    times, numbers = places if flat else (np.empty(0, np.int64), np.empty(0, np.int64))
    lengths = np.array([len(t) for t, _ in flat], np.int64)
    out, present, rows = kernels_rates.extrapolated_where_laid(
        times, numbers, lengths, first, ends, range_s * 1000, is_counter, True
    )
    whole = [dict(sample for piece in each for sample in piece) for each in parts]
    assert rows.tolist() == [len(each) for each in whole]
    stale = np.float64(STALE).view(np.int64)
    live = [[s for s in sorted(each.items()) if np.float64(s[1]).view(np.int64) != stale] for each in whole]
    want, wanted = kernels_rates.extrapolated(*columns(live), ends, range_s * 1000, is_counter, True)
    assert (present == wanted).all()
    assert (out[present].view(np.int64) == want[present].view(np.int64)).all()


@examples(200)
@given(
    rises=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0, 1e9, math.nan, math.inf]), max_size=150),
    resets=st.lists(st.integers(0, 150), max_size=4),
    gap=st.integers(1, 20),
    hop=st.integers(1, 5),
    begin=st.integers(-60, 60),
    range_ms=st.integers(1, 200),
    steps=st.integers(2, 60),
    is_counter=st.booleans(),
)
def test_rates_at_even_gaps(
    rises: list[float], resets: list[int], gap: int, hop: int, begin: int, range_ms: int, steps: int, is_counter: bool
) -> None:
    """At steps that are so many samples apart each window is what it is by itself, to the last bit."""
    grown = [0.0]
    for i, rise in enumerate(rises):
        grown.append(0.0 if i in resets else (grown[-1] if math.isfinite(grown[-1]) else 1.0) + rise)
    t_ms = begin + gap * np.arange(len(grown))
    offsets, numbers, ends = np.array([0, len(grown)]), np.array(grown), gap * hop * np.arange(steps)
    out, present = kernels_rates.extrapolated(offsets, t_ms, numbers, ends, range_ms, is_counter, True)
    for step in range(steps):
        at = ends[step : step + 1]
        want, wanted = kernels_rates.extrapolated(offsets, t_ms, numbers, at, range_ms, is_counter, True)
        assert present[0, step] == wanted[0, 0]
        assert out[0, step].view(np.int64) == want[0, 0].view(np.int64)


BEFORE_AND_BEHIND = """
import numpy as np
from obs.tsdb.promql.kernels_rates import extrapolated

grown = np.arange(40.0)
grown[30:] -= 25
offsets, t_ms = np.array([0, 40]), 10 * np.arange(40)
for begin in range(-150, 550, 10):
    for steps in (2, 9):
        extrapolated(offsets, t_ms, grown, begin + 10 * np.arange(steps), 50, True, True)
"""


def test_rates_before_and_behind_a_series_read_no_step_that_is_not_there() -> None:
    """As plain Python, which says where it reads past the end of an array."""
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", BEFORE_AND_BEHIND], env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@examples(200)
@given(
    base=st.sampled_from([-(1 << 63), -(1 << 61), 1 << 61, (1 << 63) - 400, (1 << 62) - 200]),
    near=st.one_of(st.just(set()), st.sets(st.integers(0, 39))),
    far=st.sampled_from([[], [-(1 << 63)], [-(1 << 63), (1 << 63) - 1]]),
    begin=st.integers(-60, 400), range_ms=st.integers(1, 200), steps=st.integers(2, 9),
)  # fmt: skip
def test_rates_of_the_first_and_the_last_times(
    base: int, near: set[int], far: list[int], begin: int, range_ms: int, steps: int
) -> None:
    times = sorted({t for t in [*(base + 10 * i for i in near), *far] if -(1 << 63) <= t < 1 << 63})
    looks = [base + begin + 10 * i for i in range(steps)]
    ends = np.array([end for end in looks if -(1 << 63) + range_ms <= end < (1 << 63) - 1], np.int64)
    columns_ = np.array([0, len(times)]), np.array(times, np.int64), np.arange(float(len(times)))
    out, present = kernels_rates.extrapolated(*columns_, ends, range_ms, True, True)
    for step, end in enumerate(ends.tolist()):
        window = [t for t in times if end - range_ms < t <= end]
        assert bool(present[0, step]) == (len(window) > 1)
        want = kernels_rates.extrapolated(*columns_, ends[step : step + 1], range_ms, True, True)[0]
        assert same(float(out[0, step]), float(want[0, 0]))
