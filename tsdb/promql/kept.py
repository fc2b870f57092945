"""Answers to range queries, kept for when they are asked again a little later: only new steps are worked out.

A step is kept for as long as no sample was written that it could see, and nothing was deleted or lost. Dashboards
ask for the same range over and over, moved on by a step or two.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.model.labels import Labels
from obs.tsdb.changes import Changes, Moment
from obs.tsdb.promql.limits import KEPT_ANSWER_BYTES, KEPT_BYTES, KEPT_SERIES_BYTES
from obs.tsdb.promql.plan import Call, Edge, Node, RangeSelector, Selector, Subquery
from obs.tsdb.promql.result import Result
from obs.tsdb.promql.values import Steps, any_step

OF_THE_RANGE = frozenset(("start", "end", "range", "step", "info"))
"""Functions whose value at a step depends on more than the step and the samples around it."""

Rows = npt.NDArray[Any]

Key = tuple[str, int, int, int | None, bool]
"""Query text, step, the start modulo the step, lookback (milliseconds)."""


def sees_ahead(node: Node) -> int | None:
    """How far past a step the samples reach that its value depends on, milliseconds; None: on the range itself."""
    reach = 0
    if isinstance(node, RangeSelector):
        return sees_ahead(node.selector)
    if isinstance(node, Selector | Subquery):
        if node.at is not None or (isinstance(node, Selector) and node.edge is not Edge.NONE):
            return None
        reach = max(-node.offset_ms, 0)
    if isinstance(node, Call) and node.name in OF_THE_RANGE:
        return None
    below = [sees_ahead(child) for child in node.children]
    known = [ms for ms in below if ms is not None]
    return reach + max(known, default=0) if len(known) == len(below) else None


@dataclass(frozen=True, slots=True)
class _Answer:
    result: Result
    moment: Moment

    @property
    def nbytes(self) -> int:
        return self.result.values.nbytes + self.result.present.nbytes + KEPT_SERIES_BYTES * len(self.result.labels)


class KeptAnswers:
    """Answers by query and grid, the least recently used dropped first. Any thread."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._lock = threading.Lock()
        self._answers: OrderedDict[Key, _Answer] = OrderedDict()
        self.nbytes = 0

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            self._answers.clear()
            self.nbytes = 0

    def answer(self, key: Key, steps: Steps, ahead_ms: int, evaluate: Callable[[Steps], Result]) -> Result:
        """What `evaluate` gives for all steps, which it is asked only for those that are not kept."""
        moment = self._changes.now()
        kept = self._standing(key, steps, ahead_ms)
        if kept is None:
            result = evaluate(steps)
        elif len(kept.times) == steps.count:
            result = kept
        else:
            rest = evaluate(replace(steps, start_ms=int(kept.times[-1]) + steps.step_ms))
            result = joined(kept, rest)
        self._keep(key, _Answer(result, moment))
        return result

    def _standing(self, key: Key, steps: Steps, ahead_ms: int) -> Result | None:
        """The kept steps from the first one asked for; None where that is not kept."""
        with self._lock:
            answer = self._answers.get(key)
        if answer is None:
            return None
        times = answer.result.times
        last_ms = min(self._changes.since(answer.moment) - ahead_ms - 1, steps.end_ms)
        first, stop = int(np.searchsorted(times, steps.start_ms)), int(np.searchsorted(times, last_ms, "right"))
        if stop <= first or times[first] != steps.start_ms:
            return None
        return between(answer.result, first, stop)

    def _keep(self, key: Key, answer: _Answer) -> None:
        result = answer.result
        plain = result.hists is None and not result.warnings and not result.infos
        with self._lock:
            old = self._answers.pop(key, None)
            self.nbytes -= old.nbytes if old is not None else 0
            if plain and answer.nbytes <= KEPT_ANSWER_BYTES:
                self._answers[key] = answer
                self.nbytes += answer.nbytes
            while self.nbytes > KEPT_BYTES:
                self.nbytes -= self._answers.popitem(last=False)[1].nbytes


def between(result: Result, first: int, stop: int) -> Result:
    """The columns first:stop, without series that have nothing there."""
    stats = {"steps_kept": stop - first}
    if stop - first == len(result.times):
        return replace(result, stats=stats)
    present = result.present[:, first:stop]
    some = np.flatnonzero(any_step(present))
    labels = result.labels if len(some) == len(result.labels) else [result.labels[i] for i in some.tolist()]
    values = result.values[some, first:stop]
    return replace(
        result, labels=labels, times=result.times[first:stop], values=values, present=present[some], stats=stats
    )


def joined(kept: Result, rest: Result) -> Result:
    """The steps of both, one after the other, sorted by labels."""
    labels = kept.labels
    if list(labels) != list(rest.labels):
        labels = sorted(set(labels) | set(rest.labels))
    values = np.hstack([_spread(part.values, part.labels, labels) for part in (kept, rest)])
    present = np.hstack([_spread(part.present, part.labels, labels) for part in (kept, rest)])
    return replace(
        rest, labels=labels, times=np.concatenate([kept.times, rest.times]), values=values, present=present,
        stats={**rest.stats, **kept.stats},
    )  # fmt: skip


def _spread(rows: Rows, labels: Sequence[Labels], wanted: Sequence[Labels]) -> Rows:
    """Rows in the places of their labels among those wanted, zeros elsewhere."""
    if len(labels) == len(wanted):
        return rows
    place = {ls: i for i, ls in enumerate(wanted)}
    out = np.zeros((len(wanted), rows.shape[1]), rows.dtype)
    out[[place[ls] for ls in labels]] = rows
    return out
