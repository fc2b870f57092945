"""absent, absent_over_time; scalar and vector, between the kinds; pi, min_of and max_of of scalars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.model.labels import Labels, MatchOp, make_labels
from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.over_windows import WINDOW_FUNCTIONS
from obs.tsdb.promql.plan import Call, Node, RangeSelector, Selector, unwrap
from obs.tsdb.promql.values import METADATA, Bool, Scalar, Vector


def absent(frame: Frame, call: Call) -> Vector:
    """1 where the vector is empty, with the labels its selector is sure of."""
    return _absent(call, frame.vector(call.args[0]).present)


def absent_over_time(frame: Frame, call: Call) -> Vector:
    """1 where no window has a sample."""
    windows = frame.windows(call.args[0])
    return _absent(call, WINDOW_FUNCTIONS["present_over_time"](frame, call, windows).present)


def _absent(call: Call, present: Bool) -> Vector:
    nowhere = ~np.asarray(present.any(axis=0), np.bool_)[None, :]
    return Vector([sure_labels(call.args[0])], np.ones(nowhere.shape), nowhere, np.zeros(1, np.bool_)).compact()


def sure_labels(node: Node) -> Labels:
    """The labels that every series of a selector has: those matched by one equality."""
    node = unwrap(node)
    selector = node.selector if isinstance(node, RangeSelector) else node
    if not isinstance(selector, Selector):
        return ()
    sure: dict[str, str] = {}
    seen: set[str] = set()
    for m in selector.matchers:
        if m.name in METADATA:
            continue
        if m.op is MatchOp.EQ and m.name not in seen:
            sure[m.name] = m.value
        else:
            sure.pop(m.name, None)
        seen.add(m.name)
    return make_labels(sure)


def scalar(frame: Frame, call: Call) -> Scalar:
    """The value of a vector of one float; NaN otherwise."""
    vector = frame.vector(call.args[0]).only_floats()
    single = vector.present.sum(axis=0) == 1
    total = np.where(vector.present, vector.values, 0.0).sum(axis=0)
    return Scalar(np.where(single, total, np.nan))


def vector(frame: Frame, call: Call) -> Vector:
    """A scalar as a vector without labels."""
    values = frame.scalar(call.args[0]).values[None, :]
    return Vector([()], values, np.ones(values.shape, np.bool_), np.zeros(1, np.bool_))


def _pi(frame: Frame, call: Call) -> Scalar:
    return Scalar(np.full(frame.steps.count, np.pi))


def _of_two(pick: np.ufunc) -> Callable[[Frame, Call], Scalar]:
    return lambda frame, call: Scalar(pick(*(frame.scalar(a).values for a in call.args)))


PRESENCE: dict[str, Callable[[Frame, Call], Scalar | Vector]] = {
    "absent": absent,
    "absent_over_time": absent_over_time,
    "scalar": scalar,
    "vector": vector,
    "pi": _pi,
    "min_of": _of_two(np.minimum),
    "max_of": _of_two(np.maximum),
}
