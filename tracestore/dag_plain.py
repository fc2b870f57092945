"""The span DAG in plain Python: what `kernels.py` computes, for the minute before it is compiled, and its reference."""

from __future__ import annotations

from collections.abc import Sequence

from obs.tracestore.names import CLIENT, SERVER

TraceDag = tuple[list[int], list[int], list[int], list[int]]


def trace_dag(span: Sequence[int], parent: Sequence[int], kind: Sequence[int]) -> TraceDag:
    """Parent position, left, right and depth of one trace, whose spans are sorted by start."""
    up = _parents(span, parent, kind)
    _cut_cycles(up)
    left, right, depth = _number(up)
    return up, left, right, depth


def _parents(span: Sequence[int], parent: Sequence[int], kind: Sequence[int]) -> list[int]:
    place: dict[int, int] = {}
    twin: dict[int, int] = {}
    for i, id_ in enumerate(span):
        held = place.setdefault(id_, i)
        if held != i and kind[held] == CLIENT and kind[i] == SERVER:
            twin[i] = held
            place[id_] = i
        elif held != i and kind[held] == SERVER and kind[i] == CLIENT:
            twin.setdefault(held, i)
    return [twin.get(i, place.get(p, -1) if p and p != span[i] else -1) for i, p in enumerate(parent)]


def _cut_cycles(up: list[int]) -> None:
    """Make the least row of every cycle a top."""
    state = [0] * len(up)  # 0 unseen, 1 on this walk, 2 leads to a top
    for i in range(len(up)):
        walk, node = [], i
        while node >= 0 and state[node] == 0:
            state[node] = 1
            walk.append(node)
            node = up[node]
        if node >= 0 and state[node] == 1:
            up[min(walk[walk.index(node) :])] = -1
        for seen in walk:
            state[seen] = 2


def _number(up: list[int]) -> tuple[list[int], list[int], list[int]]:
    children: list[list[int]] = [[] for _ in range(len(up) + 1)]
    for i, p in enumerate(up):
        children[p].append(i)  # -1: the last list holds the tops
    left, right, depth = [0] * len(up), [0] * len(up), [0] * len(up)
    stack = [(node, 0) for node in reversed(children[-1])]
    count = 1
    while stack:
        node, level = stack.pop()
        if left[node]:
            right[node] = count
        else:
            left[node], depth[node] = count, level
            stack.append((node, level))
            stack += [(child, level + 1) for child in reversed(children[node])]
        count += 1
    return left, right, depth
