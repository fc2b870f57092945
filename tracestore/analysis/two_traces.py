"""Two traces span by span: spans pair where their stacks are the same, the first with the first, the second …

In: one source each. Out: rows in the order of the tree, with what only one of them has.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from obs.tracestore.analysis.operations import critical_times, operation_codes, operation_of, self_times
from obs.tracestore.sources import MemorySource

Path = tuple[tuple[str, str, int], ...]


def compared(a: MemorySource, b: MemorySource) -> dict[str, Any]:
    """Both sides of each pair, with the difference in ns (b minus a) of its duration and its self time."""
    left, right = _by_path(a), _by_path(b)
    rows = []
    for path in _merged([*left], [*right]):
        one, other = left.get(path), right.get(path)
        rows.append({
            "service": path[-1][0], "name": path[-1][1], "depth": len(path) - 1, "a": one, "b": other,
            "durationDeltaNs": _delta(one, other, "durationNs"), "selfDeltaNs": _delta(one, other, "selfNs"),
        })  # fmt: skip
    return {
        "durationDeltaNs": int(b.traces.duration[0]) - int(a.traces.duration[0]),
        "onlyA": sum(r["b"] is None for r in rows), "onlyB": sum(r["a"] is None for r in rows), "spans": rows,
    }  # fmt: skip


def _delta(a: dict[str, Any] | None, b: dict[str, Any] | None, field: str) -> int | None:
    return None if a is None or b is None else int(b[field] - a[field])


def _by_path(source: MemorySource) -> dict[Path, dict[str, Any]]:
    """Each span under its stack, where same siblings are numbered, in the order of the tree."""
    c, dag = source.spans, source.dag
    codes, _ = operation_codes(source)
    start = c.start + dag.skew
    own, critical = self_times(source), critical_times(source)
    seen: defaultdict[tuple[Path, str, str], int] = defaultdict(int)
    paths: dict[int, Path] = {}
    found = {}
    for i in np.argsort(dag.left, kind="stable").tolist():
        service, name = operation_of(source, int(codes[i]))
        above = paths.get(int(dag.parent[i]), ())
        paths[i] = (*above, (service, name, seen[above, service, name]))
        seen[above, service, name] += 1
        found[paths[i]] = {
            "spanId": f"{int(c.span[i]):016x}", "offsetNs": int(start[i] - start.min()),
            "durationNs": int(c.duration[i]), "selfNs": int(own[i]), "criticalNs": int(critical[i]),
            "error": bool(c.status[i] == 2),
        }  # fmt: skip
    return found


def _merged(left: list[Path], right: list[Path]) -> list[Path]:
    """All paths, each below its parent: those of the left in its order, then under each parent what is only right."""
    children: defaultdict[Path, dict[Path, None]] = defaultdict(dict)
    for path in (*left, *right):
        children[path[:-1]][path] = None
    found: list[Path] = []
    stack = list(reversed(children[()]))
    while stack:
        path = stack.pop()
        found.append(path)
        stack += reversed(children[path])
    return found
