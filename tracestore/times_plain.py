"""Clock skew, covered time and critical path in plain Python: what `kernels_times.py` computes, and its reference."""

from __future__ import annotations

from collections.abc import Sequence

TraceTimes = tuple[list[int], list[int], list[int]]
CONSUMER = 5


def trace_times(
    up: Sequence[int], left: Sequence[int], kind: Sequence[int], clock: Sequence[int],
    start: Sequence[int], end: Sequence[int],
) -> TraceTimes:  # fmt: skip
    """Covered time, skew and self time off the critical path of one trace, whose spans are sorted by start."""
    rows = sorted(range(len(up)), key=lambda i: left[i])
    low, high = list(start), [max(s, e) for s, e in zip(start, end, strict=True)]
    skew = _skew(rows, up, kind, clock, low, high)
    children: list[list[int]] = [[] for _ in range(len(up) + 1)]
    for i, p in enumerate(up):
        children[p].append(i)  # -1: the last list holds the tops
    covered = [_covered(i, children[i], low, high) for i in range(len(up))]
    critical = _critical(rows, children, low, high)
    off = [high[i] - low[i] - covered[i] - critical[i] for i in range(len(up))]
    return covered, skew, off


def _skew(
    rows: list[int], up: Sequence[int], kind: Sequence[int], clock: Sequence[int], low: list[int], high: list[int]
) -> list[int]:
    """What is added to each span's times; `low` and `high` are changed by it."""
    skew = [0] * len(up)
    for i in rows:
        p = up[i]
        if p >= 0 and kind[i] != CONSUMER:
            skew[i] = skew[p] if clock[i] == clock[p] else _fitting(low[i], high[i], low[p], high[p])
        low[i] += skew[i]
        high[i] += skew[i]
    return skew


def _fitting(start: int, end: int, parent_start: int, parent_end: int) -> int:
    spare = (parent_end - parent_start) - (end - start)
    if spare < 0:
        return max(parent_start - start, 0)
    inside = parent_start <= start and end <= parent_end
    return 0 if inside else parent_start + spare // 2 - start


def _covered(span: int, children: list[int], low: list[int], high: list[int]) -> int:
    reach, total = low[span], 0
    for child in sorted(children, key=lambda c: low[c]):
        begins, ends = max(low[child], reach), min(high[child], high[span])
        if ends > begins:
            total, reach = total + ends - begins, ends
    return total


def _critical(rows: list[int], children: list[list[int]], low: list[int], high: list[int]) -> list[int]:
    """Back from the end of each span on the path: the child that finished last, then the one before it began, …"""
    critical = [0] * len(rows)
    window = {-1: (min(low), max(high))}
    for node in [-1, *rows]:
        if node not in window:
            continue
        begins, cursor = window[node]
        own = 0
        last = True
        for child in sorted(children[node], key=lambda c: (high[c], c), reverse=True):
            ends, starts = min(high[child], cursor) if last else high[child], max(low[child], begins)
            if cursor > begins and ends <= cursor and starts < ends:
                window[child] = starts, ends
                own, cursor, last = own + cursor - ends, starts, False
        if node >= 0:
            critical[node] = own + max(cursor - begins, 0)
    return critical
