"""A vector in slices of its series, worked out side by side: what bounds memory and uses all cores.

Selectors and functions over the windows of a selector are read part by part; whatever else comes whole.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial

from obs.model.labels import Matcher
from obs.tsdb.promql.context import Frame, Part
from obs.tsdb.promql.operators.selector import ends, last_of, reach, vector_of, windows_of
from obs.tsdb.promql.plan import Call, Edge, Node, RangeSelector, Selector, unwrap
from obs.tsdb.promql.values import Vector, order_of, stack

FEW = 4
"""Slices that one thread works out sooner than two that take turns at the interpreter."""

Slice = Callable[[Part], Vector]
_here = threading.local()


def in_slices(node: Node) -> bool:
    """Whether a node can be worked out slice by slice."""
    inner = unwrap(node)
    if isinstance(inner, Selector):
        return inner.edge is not Edge.SMOOTHED
    return _window_call(inner) is not None


def slices(frame: Frame, node: Node) -> Iterator[Vector]:
    """The vector of `node`, some series at a time where that is possible; slices are in no order of labels."""
    inner = unwrap(node)
    if not in_slices(inner):
        yield frame.vector(node)
        return
    selector = inner if isinstance(inner, Selector) else _window_call(inner)
    assert selector is not None
    work = _last_samples(frame, selector) if isinstance(selector, Selector) else _windowed(frame, inner, selector)
    matchers, first_ms, last_ms = _selected(frame, selector)
    most = max(1, frame.query.options.slice_cells // max(1, frame.steps.count))
    at_once = isinstance(selector, Selector) and len(ends(frame, selector.offset_ms, selector.at)) == 1
    pos = selector.pos if isinstance(selector, Selector) else selector.selector.pos
    with frame.query.selection(matchers, first_ms, last_ms, most, pos, at_once) as parts:
        yield from _side_by_side([partial(work, part) for part in parts])


def in_order(parts: Sequence[Vector], steps: int) -> Vector:
    """Slices as one vector, sorted by labels."""
    whole = stack(parts, steps)
    return whole.rows(order_of(whole.labels))


def _window_call(node: Node) -> RangeSelector | None:
    """The selector whose windows a function is called on."""
    from obs.tsdb.promql.functions.over_windows import WINDOW_FUNCTIONS

    if not isinstance(node, Call) or node.name not in WINDOW_FUNCTIONS:
        return None
    found = [arg for arg in map(unwrap, node.args) if isinstance(arg, RangeSelector)]
    return found[0] if found else None


def _selected(frame: Frame, node: Selector | RangeSelector) -> tuple[Sequence[Matcher], int, int]:
    if isinstance(node, RangeSelector):
        return node.selector.matchers, *reach(frame, node)
    look = ends(frame, node.offset_ms, node.at)
    return node.matchers, int(look[0]) - frame.query.options.lookback_ms + 1, int(look[-1])


def _last_samples(frame: Frame, node: Selector) -> Slice:
    look = ends(frame, node.offset_ms, node.at)
    return lambda part: vector_of(last_of(frame, part.read(), look))


def _windowed(frame: Frame, node: Node, selector: RangeSelector) -> Slice:
    from obs.tsdb.promql.functions.over_windows import WINDOW_FUNCTIONS
    from obs.tsdb.promql.functions.rates import IN_PLACE

    assert isinstance(node, Call)
    function, call = WINDOW_FUNCTIONS[node.name], node
    is_plain = selector.selector.edge is Edge.NONE and frame.query.starts is None
    in_place = IN_PLACE.get(node.name) if is_plain else None

    def work(part: Part) -> Vector:
        laid = part.laid() if in_place is not None else None
        if in_place is None or laid is None:
            return function(frame, call, windows_of(frame, selector, part.read()))
        return in_place(frame, call, selector, laid)

    return work


@cache
def _workers() -> tuple[ThreadPoolExecutor, int]:
    count = len(os.sched_getaffinity(0))
    return ThreadPoolExecutor(count, "obs-promql"), count


def _side_by_side(tasks: Sequence[Callable[[], Vector]]) -> Iterator[Vector]:
    """Results in the order of the tasks, a few tasks ahead of whoever takes them."""
    if len(tasks) < FEW or getattr(_here, "working", False):  # a worker that waits for workers might wait for ever
        yield from (task() for task in tasks)
        return
    pool, count = _workers()
    ahead: deque[Future[Vector]] = deque()
    try:
        for task in tasks:
            if len(ahead) > count:
                yield ahead.popleft().result()
            ahead.append(pool.submit(_work, task))
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
        for future in ahead:  # what they read from is let go of after this
            if not future.cancelled():
                future.exception()


def _work(task: Callable[[], Vector]) -> Vector:
    _here.working = True
    return task()
