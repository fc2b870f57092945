"""The span DAG of sorted spans as short compiled loops; `dag_plain.py` is the same in plain Python.

In: spans sorted by (trace, start). Out, written in place: parent position, nested-set bounds, depth.
A parent that is not there, a span that is its own parent, and the first span of a cycle count as tops of the tree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.tracestore.kernels_times import build_times

Ids = npt.NDArray[np.uint64]
Small = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]

SERVER, CLIENT = 2, 3


@njit(nogil=True, cache=True)
def slot_of(ids: Ids, table: Places, mask: Any, salt: Any, wanted: Any, base: int) -> Any:
    """The slot of `table` that holds a row with id `wanted`, or the free one where it would go."""
    h = (wanted ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    slot = (h ^ (h >> np.uint64(29))) & mask
    while table[slot] >= 0 and ids[base + table[slot]] != wanted:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(nogil=True, cache=True)
def find_parents(
    base: int,
    n: int,
    span: Ids,
    parent: Ids,
    kind: Small,
    salt: Any,
    table: Places,
    mask: Any,
    twin: Places,
    out: Places,
) -> None:
    """Positions of parents within one trace; children of an id that a client and a server share hang off the server."""
    for i in range(n):
        twin[i] = -1
        slot = slot_of(span, table, mask, salt, span[base + i], base)
        held = table[slot]
        if held < 0:
            table[slot] = i
        elif kind[base + held] == CLIENT and kind[base + i] == SERVER:
            twin[i] = held
            table[slot] = i
        elif kind[base + held] == SERVER and kind[base + i] == CLIENT and twin[held] < 0:
            twin[held] = i
    for i in range(n):
        found = twin[i]
        if found < 0 and parent[base + i] != 0 and parent[base + i] != span[base + i]:
            found = table[slot_of(span, table, mask, salt, parent[base + i], base)]
        out[base + i] = found


@njit(nogil=True, cache=True)
def list_children(base: int, n: int, up: Places, first: Places, following: Places) -> None:
    """Children of each span in ascending rows, as linked lists; first[n] begins the list of the tops."""
    for i in range(n + 1):
        first[i] = -1
    for i in range(n - 1, -1, -1):
        p = up[base + i] if up[base + i] >= 0 else n
        following[i] = first[p]
        first[p] = i


@njit(nogil=True, cache=True)
def number_tree(
    base: int, top: int, up: Places, first: Places, following: Places, count: int,
    left: Places, right: Places, depth: Places,
) -> int:  # fmt: skip
    """Nested-set bounds and depth of the tree under `top`, which is visited once; returns the next number."""
    node, level = top, 0
    left[base + node] = count
    count += 1
    depth[base + node] = 0
    while True:
        child = first[node]
        if child >= 0:
            first[node] = following[child]
            node = child
            level += 1
            left[base + node] = count
            depth[base + node] = level
            count += 1
            continue
        right[base + node] = count
        count += 1
        if node == top:
            return count
        node = up[base + node]
        level -= 1


@njit(nogil=True, cache=True)
def cut_cycles(base: int, n: int, up: Places, walk: Places) -> None:
    """Make the least row of every cycle a top. Each row is walked over once: walk[i] is who came there first."""
    for i in range(n):
        walk[i] = -1
    for i in range(n):
        node = i
        while node >= 0 and walk[node] < 0:
            walk[node] = i
            node = up[base + node]
        if node >= 0 and walk[node] == i:
            least, other = node, up[base + node]
            while other != node:
                least = min(least, other)
                other = up[base + other]
            up[base + least] = -1


@njit(nogil=True, cache=True)
def build_dag(
    starts: Times, span: Ids, parent: Ids, kind: Small, salt: Any,
    up: Places, left: Places, right: Places, depth: Places,
) -> None:  # fmt: skip
    """The DAG of every trace; `starts` are the first rows of traces, then the number of rows."""
    most = 0
    for t in range(len(starts) - 1):
        most = max(most, starts[t + 1] - starts[t])
    size = 4
    while size < 2 * most:
        size *= 2
    table = np.empty(size, np.int32)
    first = np.empty(most + 1, np.int32)
    following = np.empty(most, np.int32)
    scratch = np.empty(most, np.int32)
    for t in range(len(starts) - 1):
        base = starts[t]
        n = starts[t + 1] - base
        size = 4
        while size < 2 * n:
            size *= 2
        table[:size] = -1
        find_parents(base, n, span, parent, kind, salt, table, np.uint64(size - 1), scratch, up)
        cut_cycles(base, n, up, scratch)
        list_children(base, n, up, first, following)
        count, top = 1, first[n]
        while top >= 0:
            count = number_tree(base, top, up, first, following, count, left, right, depth)
            top = following[top]


def warm() -> None:
    """Call every kernel with the types it is used with."""
    from obs.columnar import kernels_pages

    kernels_pages.warm()
    ids = np.array([1, 2], np.uint64)
    times = np.array([0, 1], np.int64)
    small = np.zeros(2, np.uint8)
    out = [np.empty(2, np.int32) for _ in range(4)]
    starts = np.array([0, 2], np.int64)
    build_dag(starts, ids, ids, small, np.uint64(0), *out)
    build_times(starts, out[0], out[1], small, out[3], times, times, *(np.empty(2, np.int64) for _ in range(3)))
