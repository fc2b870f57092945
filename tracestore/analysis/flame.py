"""A flame graph: the spans of many traces merged by their stack (services and names from the top), with self times.

In: whole traces. Out: nodes with their parent's position, parents first, and the same as folded lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from obs.errors import QueryLimit
from obs.tracestore import limits
from obs.tracestore.analysis.operations import operation_codes, operation_of, self_times
from obs.tracestore.parent_ids import parent_rows
from obs.tracestore.sources import MemorySource

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Node:
    """All spans of one stack; times are sums over them."""

    parent: int  # position among the nodes, -1 at the top
    service: str
    name: str
    spans: int
    self_ns: int
    total_ns: int  # of these spans, children included


def merged_stacks(source: MemorySource) -> list[Node]:
    """One node a stack, depth by depth: each span is looked at once. Those of a depth stand by parent and code."""
    found = _Stacks(source)
    for level in _by_depth(source.dag.depth):
        if len(level) < _FEW:
            found.add_few(level.tolist())
        else:
            found.add_many(level)
    return found.nodes


_FEW = 48
"""Spans of one depth below which numpy's calls cost more than Python's steps: a chain has one span a depth."""


class _Stacks:
    """The nodes so far, and which one each row is of."""

    def __init__(self, source: MemorySource) -> None:
        self._source, self.nodes = source, list[Node]()
        self._codes, self._count = operation_codes(source)
        self._parents = parent_rows(source.traces.starts, source.dag.parent)
        self._own, self._whole = self_times(source), source.spans.duration
        self._node = np.full(len(self._codes), -1)

    def add_many(self, level: Rows) -> None:
        """The rows of one depth."""
        above = np.where(self._parents[level] >= 0, self._node[self._parents[level]], -1)
        keys, place = np.unique((above + 1) * self._count + self._codes[level], return_inverse=True)
        self._node[level] = len(self.nodes) + place
        for key, spans, *times in zip(
            keys.tolist(), np.bincount(place).tolist(), _sums(place, self._own[level]),
            _sums(place, self._whole[level]), strict=True,
        ):  # fmt: skip
            self._add(key, spans, *times)

    def add_few(self, level: list[int]) -> None:
        """The same, row by row."""
        sums: dict[int, list[int]] = {}
        keys = []
        for row in level:
            parent = int(self._parents[row])
            above = int(self._node[parent]) if parent >= 0 else -1
            keys.append((above + 1) * self._count + int(self._codes[row]))
            total = sums.setdefault(keys[-1], [0, 0, 0])
            total[0] += 1
            total[1] += int(self._own[row])
            total[2] += int(self._whole[row])
        place = {key: len(self.nodes) + at for at, key in enumerate(sorted(sums))}
        for row, key in zip(level, keys, strict=True):
            self._node[row] = place[key]
        for key in place:
            self._add(key, *sums[key])

    def _add(self, key: int, spans: int, self_ns: int, total_ns: int) -> None:
        parent, code = divmod(key, self._count)
        self.nodes.append(Node(parent - 1, *operation_of(self._source, code), spans, self_ns, total_ns))


def _by_depth(depth: npt.NDArray[np.int32]) -> Iterator[Rows]:
    """The rows of each depth, from the top."""
    order = np.argsort(depth, kind="stable")
    edges = [0, *(np.flatnonzero(np.diff(depth[order])) + 1).tolist(), len(order)]
    for first, end in pairwise(edges):
        yield order[first:end]


def _sums(place: Rows, values: Rows) -> list[int]:
    total = np.zeros(int(place.max()) + 1, np.int64)
    np.add.at(total, place, values)
    found: list[int] = total.tolist()
    return found


def folded(nodes: Sequence[Node]) -> Iterator[str]:
    """`a;b;c microseconds`, a line a stack with time of its own, as flame graph tools read it. Raises: QueryLimit."""
    frames = [f"{n.service} {n.name}".replace(";", ",").replace("\n", " ") for n in nodes]
    _check_size(nodes, frames)
    stacks: list[str] = []
    for node, frame in zip(nodes, frames, strict=True):
        stacks.append(f"{stacks[node.parent]};{frame}" if node.parent >= 0 else frame)
        if node.self_ns >= 1000:
            yield f"{stacks[-1]} {node.self_ns // 1000}"


def _check_size(nodes: Sequence[Node], frames: Sequence[str]) -> None:
    """Every line repeats the frames above it: of deep traces they grow with the square of their depth."""
    sizes: list[int] = []
    for node, frame in zip(nodes, frames, strict=True):
        sizes.append(len(frame) + (1 + sizes[node.parent] if node.parent >= 0 else 0))
    if sum(sizes) > limits.MAX_FOLDED_CHARS:
        raise QueryLimit(
            f"cannot write stacks of {sum(sizes)} characters: the limit is {limits.MAX_FOLDED_CHARS}; narrow the "
            "search, or ask without format=folded"
        )
