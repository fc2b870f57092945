"""A flame graph: the spans of many traces merged by their stack (services and names from the top), with self times.

In: whole traces. Out: nodes with their parent's position, parents first, and the same as folded lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """One node a stack; depth by depth, so that each span is looked at once."""
    codes, count = operation_codes(source)
    parents = parent_rows(source.traces.starts, source.dag.parent)
    own, whole = self_times(source), source.spans.duration
    node = np.full(len(codes), -1)
    found: list[Node] = []
    for level in _by_depth(source.dag.depth):
        above = np.where(parents[level] >= 0, node[parents[level]], -1)
        keys, place = np.unique((above + 1) * count + codes[level], return_inverse=True)
        node[level] = len(found) + place
        sums = zip(keys.tolist(), np.bincount(place).tolist(), _sums(place, own[level]), _sums(place, whole[level]),
                   strict=True)  # fmt: skip
        for key, spans, self_ns, total_ns in sums:
            parent, code = divmod(key, count)
            found.append(Node(parent - 1, *operation_of(source, code), spans, self_ns, total_ns))
    return found


def _by_depth(depth: npt.NDArray[np.int32]) -> Iterator[Rows]:
    """The rows of each depth, from the top."""
    order = np.argsort(depth, kind="stable")
    edges = np.flatnonzero(np.diff(depth[order])) + 1
    yield from np.split(order, edges)


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
