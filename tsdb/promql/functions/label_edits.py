"""label_replace, label_join, and the sorts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from obs.errors import QueryError
from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.model.regex import compiled, error
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.plan import Call, is_fixed
from obs.tsdb.promql.selectors import is_utf8
from obs.tsdb.promql.values import Vector, merge_same


def label_replace(frame: Frame, call: Call) -> Vector:
    """Set a label from another one where a regex matches it whole."""
    dst, template, src, pattern = (frame.text(a) for a in call.args[1:])
    regex = _regex(pattern)
    _check_label(dst, "label_replace")

    def edit(labels: Labels) -> Labels | None:
        match = regex.fullmatch(dict(labels).get(src, ""))
        return None if match is None else _set(labels, dst, expand(template, match))

    return _edited(frame.vector(call.args[0]), edit, dst)


def label_join(frame: Frame, call: Call) -> Vector:
    """Set a label to the values of others, joined."""
    dst, separator, *sources = (frame.text(a) for a in call.args[1:])
    for name in sources:
        if not name or not is_utf8(name):
            raise QueryError(f"invalid source label name in label_join(): {name}")
    _check_label(dst, "label_join")

    def edit(labels: Labels) -> Labels:
        values = dict(labels)
        return _set(labels, dst, separator.join(values.get(name, "") for name in sources))

    return _edited(frame.vector(call.args[0]), edit, dst)


def _regex(pattern: str) -> Any:
    try:
        return compiled(pattern)
    except ValueError:
        raise QueryError(f"invalid regular expression in label_replace(): {pattern}") from None


def _check_label(name: str, function: str) -> None:
    if not name or not is_utf8(name):
        raise QueryError(f"invalid destination label name in {function}(): {name}")


def _set(labels: Labels, name: str, value: str) -> Labels:
    return make_labels({**dict(labels), name: value})


def _edited(vector: Vector, edit: Callable[[Labels], Labels | None], dst: str) -> Vector:
    """Labels after the edit; a metric name that was written stays, even where a function was to drop it."""
    labels, drop = list(vector.labels), vector.drop_name.copy()
    for i, before in enumerate(vector.labels):
        after = edit(before)
        if after is None:
            continue
        labels[i] = after
        if dst == METRIC_NAME:
            drop[i] = False
    return merge_same(replace(vector, labels=labels, drop_name=drop))


_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def expand(template: str, match: Any) -> str:
    """Go's Regexp.Expand: $1, ${1}, $name, $$; an unknown group is empty."""

    def one(reference: re.Match[str]) -> str:
        name = reference.group(1) or reference.group(2)
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError, error):
            return ""

    return _REFERENCE.sub(one, template)


def _ineffective(frame: Frame, call: Call) -> None:
    if is_fixed(call.args[0]):  # then it is evaluated but once
        return
    text = "sort is ineffective for range queries since results are always ordered by labels"
    frame.query.annotations.warn(call, text)


def _sort(descending: bool) -> Callable[[Frame, Call], Vector]:
    """sort and sort_desc: by value at a single step, NaN last; a range keeps the order of labels."""

    def function(frame: Frame, call: Call) -> Vector:
        vector = frame.vector(call.args[0])
        if frame.steps.end_ms != frame.steps.start_ms:
            _ineffective(frame, call)
        vector = vector.only_floats().compact()
        if frame.steps.count != 1:
            return vector
        keys = -vector.values[:, 0] if descending else vector.values[:, 0]
        return vector.rows(np.argsort(np.where(np.isnan(keys), np.inf, keys), kind="stable"))

    return function


def _sort_by_label(descending: bool) -> Callable[[Frame, Call], Vector]:
    def function(frame: Frame, call: Call) -> Vector:
        vector = frame.vector(call.args[0])
        names = [frame.text(a) for a in call.args[1:]]
        if frame.steps.end_ms != frame.steps.start_ms:
            _ineffective(frame, call)
        if frame.steps.count != 1:
            return vector

        def key(row: int) -> tuple[object, ...]:
            values = dict(vector.labels[row])
            return (*(natural(values.get(n, "")) for n in names), vector.labels[row])

        order = sorted(range(len(vector.labels)), key=key, reverse=descending)
        return vector.rows(np.array(order, np.int64))

    return function


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key in which runs of digits compare as numbers."""
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.findall(r"\d+|\D+", text))


LABEL_EDITS: dict[str, Callable[[Frame, Call], Vector]] = {
    "label_replace": label_replace,
    "label_join": label_join,
    "sort": _sort(descending=False),
    "sort_desc": _sort(descending=True),
    "sort_by_label": _sort_by_label(descending=False),
    "sort_by_label_desc": _sort_by_label(descending=True),
}
