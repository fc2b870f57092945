"""info(): adds the labels of info metrics (target_info by default) to series of the same job and instance.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#info
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from obs.errors import QueryError
from obs.model.labels import METRIC_NAME, Labels, Matcher, MatchOp, make_labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.operators import selector
from obs.tsdb.promql.operators.matching import labels_text
from obs.tsdb.promql.plan import At, Call, Node, RangeSelector, Selector, Subquery, walk
from obs.tsdb.promql.values import I64, Bool, Vector, is_hist, merge_same, metric_name, only, stack

IDENTIFYING = frozenset(("instance", "job"))
TARGET_INFO = Matcher(METRIC_NAME, MatchOp.EQ, "target_info")
ANY_INFO = Matcher(METRIC_NAME, MatchOp.RE, ".+_info")
"""Added where the name is only said not to be something: info metrics end in _info."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the second argument asks for."""

    names: tuple[Matcher, ...]  # of the info metric's name
    data: tuple[Matcher, ...]  # of its labels; empty: all labels are taken

    @property
    def needs_match(self) -> bool:
        """Whether series without info are left out: some matcher does not accept an absent label."""
        return any(not m.matches("") for m in self.data)

    def is_info(self, name: str) -> bool:
        """Whether a metric is an info metric of this call."""
        return all(m.matches(name) for m in self.names)

    def takes(self, label: str) -> bool:
        """Whether a label of an info series is added."""
        if label in IDENTIFYING or label == METRIC_NAME:
            return False
        return not self.data or any(m.name == label for m in self.data)


def info(frame: Frame, call: Call) -> Vector:
    """The first argument's series, with labels."""
    base = frame.vector(call.args[0])
    wanted = _wanted(call)
    plain = np.array([wanted.is_info(metric_name(ls)) for ls in base.labels], np.bool_)
    if bool(plain.all()):
        return base
    found = selector.find_at(frame, (*wanted.names, *wanted.data), _times(frame, call.args[0]))
    sources = _by_identity(found)
    parts = [base.rows(plain)] if bool(plain.any()) else []
    for row in np.flatnonzero(~plain).tolist():
        parts.extend(_enriched(base.rows(np.array([row])), wanted, found, sources))
    return merge_same(stack(parts, frame.steps.count)).compact()


def _wanted(call: Call) -> Wanted:
    if len(call.args) < 2:
        return Wanted((TARGET_INFO,), ())
    given = call.args[1]
    assert isinstance(given, Selector)
    names = tuple(m for m in given.matchers if m.name == METRIC_NAME)
    data = tuple(m for m in given.matchers if m.name != METRIC_NAME)
    if not names:
        return Wanted((TARGET_INFO,), data)
    if all(m.op in (MatchOp.NE, MatchOp.NRE) for m in names):
        names = (*names, ANY_INFO)
    return Wanted(names, data)


def _times(frame: Frame, node: Node) -> I64:
    """When info is looked up: where the first selector of the base expression looks, `@` and offsets included."""
    at: At = None
    offset = 0
    for inner in walk(node):
        target = inner.selector if isinstance(inner, RangeSelector) else inner
        if isinstance(target, Selector | Subquery):
            if target.at is not None:
                at, offset = target.at, 0
            offset += target.offset_ms
        if isinstance(inner, Selector | RangeSelector):
            break
    return selector.ends(frame, offset, at)


def _identity(labels: Labels) -> Labels:
    return only(labels, IDENTIFYING)


def _by_identity(found: selector.Found) -> dict[Labels, dict[str, I64]]:
    """Rows of info series by (job, instance) and then by metric name: the row of the latest sample at each step."""
    hists = found.series.hists
    if hists is not None and len(hists) and bool((is_hist(hists[found.rows]) & found.present).any()):
        raise QueryError("info metrics must have float samples, but a histogram was selected")
    groups: dict[Labels, dict[str, list[int]]] = {}
    for row, labels in enumerate(found.series.labels):
        groups.setdefault(_identity(labels), {}).setdefault(metric_name(labels), []).append(row)
    return {k: {name: _latest(found, rows) for name, rows in v.items()} for k, v in groups.items()}


def _latest(found: selector.Found, rows: Sequence[int]) -> I64:
    """int64[step]: of these series the one with the latest sample, -1 where none has any."""
    at = np.array(rows)
    never = np.iinfo(np.int64).min
    times = np.where(found.present[at], found.series.t_ms[found.rows[at]], never)
    best = times.argmax(axis=0)
    newest = times.max(axis=0)
    tied = ((times == newest) & (newest != never)).sum(axis=0) > 1
    if bool(tied.any()):
        step = int(np.argmax(tied))
        pair = [labels_text(found.series.labels[at[i]]) for i in np.flatnonzero(times[:, step] == newest[step])[:2]]
        raise QueryError(f"found duplicate series for info metric: existing {pair[0]}, new {pair[1]}")
    return np.where(newest == never, -1, at[best])


def _enriched(
    one: Vector, wanted: Wanted, found: selector.Found, sources: dict[Labels, dict[str, I64]]
) -> Iterator[Vector]:
    """One base series as the series it becomes: one for each set of info series that hold at some of its steps."""
    identity = _identity(one.labels[0])
    chosen = list(sources.get(identity, {}).values()) if identity else []
    if not chosen:
        if not wanted.needs_match:
            yield one
        return
    combos, at = np.unique(np.stack(chosen), axis=1, return_inverse=True)
    for i in range(combos.shape[1]):
        rows = [r for r in combos[:, i].tolist() if r >= 0]
        mask: Bool = (at.reshape(-1) == i)[None, :]
        if not bool((one.present & mask).any()) or (not rows and wanted.needs_match):
            continue
        labels = _with_labels(one.labels[0], [found.series.labels[r] for r in rows], wanted)
        yield Vector([labels], one.values, one.present & mask, one.drop_name, one.hists)


def _with_labels(base: Labels, infos: Sequence[Labels], wanted: Wanted) -> Labels:
    own = dict(base)
    added: dict[str, str] = {}
    for labels in infos:
        for name, value in labels:
            if not wanted.takes(name) or name in own:
                continue
            if added.setdefault(name, value) != value:
                raise QueryError(f'conflicting label "{name}": info metrics say both "{added[name]}" and "{value}"')
    return make_labels({**own, **added})
