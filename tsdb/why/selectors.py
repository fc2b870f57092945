"""Why no series satisfies all matchers of a selector: which one removes the last of them, and what exists instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from obs.model.labels import METRIC_NAME, Matcher, MatchOp
from obs.tsdb.index import SeriesIndex
from obs.tsdb.promql.plan import label_text, matchers_text, quote
from obs.tsdb.why.reasons import count, listed, nearest

Mask = npt.NDArray[np.bool_]


def no_series(index: SeriesIndex, matchers: Sequence[Matcher]) -> str | None:
    """The reason, or None where there are such series."""
    if not len(index):
        return "nothing is stored yet: no series has come in"
    kept = np.ones(len(index), np.bool_)
    passed: list[Matcher] = []
    for matcher in sorted(matchers, key=lambda m: m.name != METRIC_NAME):
        left = kept & index.matching([matcher])[: len(kept)]
        if not left.any():
            return _removed(index, matcher, kept, passed)
        kept = left
        passed.append(matcher)
    return None


def _removed(index: SeriesIndex, matcher: Matcher, kept: Mask, passed: Sequence[Matcher]) -> str:
    if matcher.name == METRIC_NAME:
        return _no_metric(index, matcher, kept)
    whose = f" with {matchers_text(tuple(passed))}" if passed else ""
    said = f"of {count(int(kept.sum()), 'series')}{whose}, none has {_text(matcher)}"
    values = [v for v in index.label_values(matcher.name, kept) if v]
    if not values:
        names = [n for n in index.label_names(kept) if n != METRIC_NAME]
        return f"{said}: none has this label; {_other_label(index, matcher, kept, names)}"
    if matcher.op in (MatchOp.NE, MatchOp.NRE):
        return f"{said}: the label is {listed(values)} on all of them"
    alike = [v for v in nearest(matcher.value, values) if v != matcher.value]
    rest = [v for v in values if v not in alike]
    return f"{said}: the label is {listed([*alike, *rest])}"


def _other_label(index: SeriesIndex, matcher: Matcher, kept: Mask, names: Sequence[str]) -> str:
    """A label that has the value that was asked for, else all labels there are."""
    if matcher.op is MatchOp.EQ and matcher.value:
        having = [n for n in names if matcher.value in index.label_values(n, kept)]
        if having:
            return f"{listed([label_text(n) for n in having], quoted=False)} has this value"
    ordered = [*nearest(matcher.name, names), *names]
    return f"their labels are {listed(list(dict.fromkeys(map(label_text, ordered))), quoted=False) or 'none'}"


def _no_metric(index: SeriesIndex, matcher: Matcher, kept: Mask) -> str:
    names = index.label_values(METRIC_NAME, kept)
    if matcher.op is MatchOp.EQ:
        alike = nearest(matcher.value, names)
        said = f"no metric is called {quote(matcher.value)}"
        if alike:
            return f"{said}; the nearest names are {listed(alike, quoted=False)}"
        return f"{said}, and none of the {count(len(names), 'metric')} has a name like it"
    said = f"no metric's name satisfies {_text(matcher)}"
    return f"{said}; some of the {count(len(names), 'metric')}: {listed(names, quoted=False)}"


def _text(matcher: Matcher) -> str:
    return f"{label_text(matcher.name)}{matcher.op.value}{quote(matcher.value)}"
