"""Two traces span by span: spans pair where their stacks are the same, the first with the first, the second …

In: one source each. Out: rows in the order of the tree, with what only one of them has.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from obs.tracestore.analysis.operations import critical_times, operation_codes, operation_of, self_times
from obs.tracestore.names import ERROR
from obs.tracestore.sources import MemorySource

Stacks = dict[tuple[int, str, str, int], int]
"""(number of the stack above, -1 at the top; service, name, which of the same siblings) → number, as they were seen."""


def compared(a: MemorySource, b: MemorySource) -> dict[str, Any]:
    """Both sides of each pair, with the difference in ns (b minus a) of its duration and its self time."""
    stacks: Stacks = {}
    left, right = _by_stack(a, stacks), _by_stack(b, stacks)
    frames = list(stacks)
    rows = []
    for stack, depth in _in_order(stacks):
        one, other = left.get(stack), right.get(stack)
        _, service, name, _ = frames[stack]
        rows.append({
            "service": service, "name": name, "depth": depth, "a": one, "b": other,
            "durationDeltaNs": _delta(one, other, "durationNs"), "selfDeltaNs": _delta(one, other, "selfNs"),
        })  # fmt: skip
    return {
        "durationDeltaNs": int(b.traces.duration[0]) - int(a.traces.duration[0]),
        "onlyA": sum(r["b"] is None for r in rows), "onlyB": sum(r["a"] is None for r in rows), "spans": rows,
    }  # fmt: skip


def _delta(a: dict[str, Any] | None, b: dict[str, Any] | None, field: str) -> int | None:
    return None if a is None or b is None else int(b[field] - a[field])


def _by_stack(source: MemorySource, stacks: Stacks) -> dict[int, dict[str, Any]]:
    """Each span under the number of its stack, where same siblings are counted; new stacks are added to `stacks`."""
    c, dag = source.spans, source.dag
    codes, _ = operation_codes(source)
    start = c.start + dag.skew
    first = start.min()
    duration, own, critical = c.duration, self_times(source), critical_times(source)
    seen: Counter[tuple[int, str, str]] = Counter()
    numbers: dict[int, int] = {-1: -1}
    found = {}
    for i in np.argsort(dag.left, kind="stable").tolist():
        service, name = operation_of(source, int(codes[i]))
        frame = (numbers[int(dag.parent[i])], service, name)
        numbers[i] = stacks.setdefault((*frame, seen[frame]), len(stacks))
        seen[frame] += 1
        found[numbers[i]] = {
            "spanId": f"{int(c.span[i]):016x}", "offsetNs": int(start[i] - first),
            "durationNs": int(duration[i]), "selfNs": int(own[i]), "criticalNs": int(critical[i]),
            "error": bool(c.status[i] == ERROR),
        }  # fmt: skip
    return found


def _in_order(stacks: Stacks) -> Iterator[tuple[int, int]]:
    """(stack, depth), each below the one above it: those of the left in its order, then what is only right."""
    below: defaultdict[int, list[int]] = defaultdict(list)
    for (above, *_), number in stacks.items():
        below[above].append(number)
    left = [(number, 0) for number in reversed(below[-1])]
    while left:
        number, depth = left.pop()
        yield number, depth
        left += [(child, depth + 1) for child in reversed(below[number])]
